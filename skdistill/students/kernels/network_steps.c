/* Steps of AdamW on a network whose first layer is a sum of curves; after curves.c, for float positions and numbers.
 *
 * A batch is cut into parts, each with a gradient of its own, so that any number of threads computes the same. The
 * threads live no longer than a call, which therefore nothing can interrupt halfway. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

/* sgemm as BLAS has it: matrices lie column by column. */
typedef void gemm(char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *, float *, int *);

enum { KL, LOGIT_MSE, BRIER, JS, MOST_LAYERS = 64, MOST_THREADS = 8 };

static const double BETA_1 = 0.9, BETA_2 = 0.999;
static const float EPSILON = 1e-8f, TINY = 1e-30f;

/* The weights are those of the first layer, (n_codes, width), its biases, and for every other layer its weights,
 * (n_out, n_in), and biases. `widths` are those of the first layer, all others and the outputs. */
typedef struct {
    const curves *first;
    gemm *gemm;
    int n_layers, n_classes, n_terms, packed_width, batch_size, n_parts, most_threads, n_threads;
    const int *widths, *losses;
    const float *temperatures, *positions, *packed;
    long n_weights, n_scratch;
    float *weights, *served, *mean, *square;
    float weight_decay;
    float *gradients; /* of every part, (n_parts, n_weights) */
    float *scratch;   /* of every thread, (most_threads, n_scratch) */
    double *part_losses;
    int n_waiting, round; /* of the barrier */
} training;

/* Waits until all threads are here. */
static void meet(training *t)
{
    if (t->n_threads == 1) {
        return;
    }
    const int round = __atomic_load_n(&t->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&t->n_waiting, 1, __ATOMIC_ACQ_REL) == t->n_threads) {
        __atomic_store_n(&t->n_waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&t->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&t->round, __ATOMIC_ACQUIRE) == round; ++spins) {
        if (spins > 1000) {
            sched_yield(); /* another thread waits for the processor */
        }
    }
}

static void multiply(const training *t, char a, char b, int m, int n, int k, const float *left, int left_stride,
                     const float *right, int right_stride, float *out)
{
    float one = 1, zero = 0;
    t->gemm(&a, &b, &m, &n, &k, &one, (float *)left, &left_stride, (float *)right, &right_stride, &zero, out, &m);
}

/* Turns margins into probabilities; returns the logarithm of what the exponentials are divided by. */
static float softmax(const float *margins, int n, float *proba)
{
    float largest = margins[0], total = 0;
    for (int i = 1; i < n; ++i) {
        largest = margins[i] > largest ? margins[i] : largest;
    }
    for (int i = 0; i < n; ++i) {
        proba[i] = expf(margins[i] - largest);
        total += proba[i];
    }
    for (int i = 0; i < n; ++i) {
        proba[i] /= total;
    }
    return largest + logf(total);
}

/* Computes the loss of margins, and its derivative by them, which is in `slope`; see losses.py. */
static float divergence(int loss, const float *margins, const float *target, int n, float *proba, float *slope)
{
    float sum = 0, of_slope = 0;
    if (loss == LOGIT_MSE) {
        float mean = 0;
        for (int i = 0; i < n; ++i) {
            mean += margins[i] / n;
        }
        for (int i = 0; i < n; ++i) {
            slope[i] = margins[i] - mean - target[i];
            sum += slope[i] * slope[i] / (2 * n);
            of_slope += slope[i] / n;
        }
        for (int i = 0; i < n; ++i) {
            slope[i] = (slope[i] - of_slope) / n;
        }
        return sum;
    }
    const float log_total = softmax(margins, n, proba);
    if (loss == KL) {
        float of_target = 0;
        for (int i = 0; i < n; ++i) {
            sum -= target[i] * (margins[i] - log_total);
            of_target += target[i];
        }
        for (int i = 0; i < n; ++i) {
            slope[i] = proba[i] * of_target - target[i];
        }
        return sum;
    }
    for (int i = 0; i < n; ++i) {
        if (loss == BRIER) {
            const float off = proba[i] - target[i];
            sum += off * off;
            slope[i] = 2 * off;
        } else {
            const float log_p = margins[i] - log_total, log_m = logf((proba[i] + target[i]) / 2);
            const float above = proba[i] > 0 ? log_p - log_m : 0;
            sum += (target[i] > 0 ? target[i] * (logf(target[i]) - log_m) : 0) / 2 + proba[i] * above / 2;
            slope[i] = above / 2;
        }
        of_slope += proba[i] * slope[i];
    }
    for (int i = 0; i < n; ++i) {
        slope[i] = proba[i] * (slope[i] - of_slope);
    }
    return sum;
}

/* Computes the loss of the outputs of a row, and replaces them by its derivatives. `work` has 3 numbers per class. */
static float loss_of_row(const training *t, float *outputs, const float *packed, float *work)
{
    const int n = t->n_classes;
    if (n == 0) { /* regression */
        const float off = outputs[0] - packed[0];
        outputs[0] = 2 * packed[1] * off;
        return packed[1] * off * off;
    }
    const int n_outputs = n == 2 ? 1 : n, hidden = n - n_outputs;
    float *margins = work, *proba = work + n, *slope = work + 2 * n, total[n], loss = 0;
    memset(total, 0, sizeof total);
    for (int term = 0; term < t->n_terms; ++term, packed += n + 1) {
        const float temperature = t->temperatures[term], weight = packed[n] * temperature;
        margins[0] = 0;
        for (int i = 0; i < n_outputs; ++i) {
            margins[hidden + i] = outputs[i] / temperature;
        }
        loss += weight * temperature * divergence(t->losses[term], margins, packed, n, proba, slope);
        for (int i = 0; i < n; ++i) {
            total[i] += weight * slope[i];
        }
    }
    memcpy(outputs, total + hidden, sizeof(float) * n_outputs);
    return loss;
}

/* What is computed of some rows; see `lay_out`. */
typedef struct {
    int *points;
    float *shares, *activations[MOST_LAYERS], *slopes, *next_slopes, *table_gradient, *work;
} memory;

/* Gives everything that is computed of some rows its place in the scratch of a thread. */
static memory lay_out(const training *t, int n_rows, float *scratch)
{
    const size_t n = n_rows, of_points = n * t->first->n_columns;
    memory m = {.points = (int *)scratch, .shares = scratch + of_points};
    size_t widest = 0;
    scratch += 2 * of_points;
    for (int l = 0; l <= t->n_layers; ++l) {
        const size_t width = t->widths[l];
        m.activations[l] = scratch;
        scratch += n * width;
        widest = width > widest ? width : widest;
    }
    m.slopes = scratch;
    m.next_slopes = m.slopes + n * widest;
    m.table_gradient = m.next_slopes + n * widest;
    m.work = m.table_gradient + (size_t)t->first->n_points * t->widths[0];
    return m;
}

/* Number of the weights and biases of the first layer. */
static long size_of_first(const training *t)
{
    long size = t->n_weights;
    for (int l = 1; l <= t->n_layers; ++l) {
        size -= (long)(t->widths[l - 1] + 1) * t->widths[l];
    }
    return size;
}

/* Computes the outputs of some rows, in the last activations; `table` has the points of the first layer. */
static void compute_outputs(const training *t, const float *weights, const float *table, const float *positions,
                            const int64_t *rows, int n_rows, const memory *m)
{
    const int n_columns = t->first->n_columns, *widths = t->widths;
    const float *layer = weights + size_of_first(t), *bias = layer - widths[0];
    for (int r = 0; r < n_rows; ++r) {
        float *out = m->activations[0] + (size_t)r * widths[0];
        sum_row_ff(t->first, positions + (rows ? rows[r] : r) * n_columns, table, widths[0], bias,
                   m->points + (size_t)r * n_columns, m->shares + (size_t)r * n_columns, out);
        for (int i = 0; i < widths[0] && t->n_layers > 0; ++i) {
            out[i] = out[i] < 0 ? 0 : out[i];
        }
    }
    for (int l = 1; l <= t->n_layers; ++l) {
        const int n_in = widths[l - 1], n_out = widths[l];
        float *out = m->activations[l];
        multiply(t, 'T', 'N', n_out, n_rows, n_in, layer, n_in, m->activations[l - 1], n_in, out);
        layer += (size_t)n_in * n_out;
        for (int r = 0; r < n_rows; ++r, out += n_out) {
            for (int i = 0; i < n_out; ++i) {
                const float value = out[i] + layer[i];
                out[i] = l < t->n_layers && value < 0 ? 0 : value;
            }
        }
        layer += n_out;
    }
}

/* Computes the sum of the losses of some rows, and replaces their outputs by its derivatives. */
static double losses_of(const training *t, const float *packed, const int64_t *rows, int n_rows, const memory *m)
{
    double loss = 0;
    for (int r = 0; r < n_rows; ++r) {
        float *outputs = m->activations[t->n_layers] + (size_t)r * t->widths[t->n_layers];
        loss += loss_of_row(t, outputs, packed + (rows ? rows[r] : r) * t->packed_width, m->work);
    }
    return loss;
}

/* Computes the sum of the losses of some rows, and the gradient of the mean loss of the batch. */
static double gradient_of(const training *t, const float *table, const int64_t *rows, int n_rows, float *scratch,
                          float *gradient)
{
    memory m = lay_out(t, n_rows, scratch);
    const int n_columns = t->first->n_columns, n_layers = t->n_layers, *widths = t->widths;
    compute_outputs(t, t->weights, table, t->positions, rows, n_rows, &m);
    const double loss = losses_of(t, t->packed, rows, n_rows, &m);
    const size_t n_outputs = (size_t)n_rows * widths[n_layers];
    for (size_t i = 0; i < n_outputs; ++i) {
        m.slopes[i] = m.activations[n_layers][i] / t->batch_size;
    }
    float *of_layer = gradient + t->n_weights;
    for (int l = n_layers; l >= 0; --l) {
        const int n_out = widths[l];
        of_layer -= n_out;
        memset(of_layer, 0, sizeof(float) * n_out);
        for (int r = 0; r < n_rows; ++r) {
            for (int i = 0; i < n_out; ++i) {
                of_layer[i] += m.slopes[(size_t)r * n_out + i];
            }
        }
        if (l == 0) {
            break;
        }
        const int n_in = widths[l - 1];
        const float *in = m.activations[l - 1];
        of_layer -= (size_t)n_in * n_out;
        multiply(t, 'N', 'T', n_in, n_out, n_rows, in, n_in, m.slopes, n_out, of_layer);
        const float *layer = t->weights + (of_layer - gradient);
        multiply(t, 'N', 'N', n_in, n_rows, n_out, layer, n_in, m.slopes, n_out, m.next_slopes);
        for (size_t i = 0; i < (size_t)n_rows * n_in; ++i) {
            m.next_slopes[i] = in[i] > 0 ? m.next_slopes[i] : 0;
        }
        float *swap = m.slopes;
        m.slopes = m.next_slopes;
        m.next_slopes = swap;
    }
    memset(m.table_gradient, 0, sizeof(float) * (size_t)t->first->n_points * widths[0]);
    for (int r = 0; r < n_rows; ++r) {
        spread_row_ff(n_columns, m.points + (size_t)r * n_columns, m.shares + (size_t)r * n_columns,
                      m.slopes + (size_t)r * widths[0], widths[0], m.table_gradient);
    }
    weight_gradient_ff(t->first, m.table_gradient, widths[0], gradient);
    return loss;
}

/* Takes a step of AdamW with some of the weights, and moves the average that is served towards them. */
static void update(training *t, long first, long last, long step, float learning_rate, float share)
{
    const float decay = 1 - learning_rate * t->weight_decay;
    const float correction = (float)sqrt(1 - pow(BETA_2, step));
    const float rate = (float)(learning_rate / (1 - pow(BETA_1, step)));
    float *restrict weights = t->weights, *restrict served = t->served, *restrict mean = t->mean;
    float *restrict square = t->square, *restrict gradient = t->gradients;
    for (int part = 1; part < t->n_parts; ++part) {
        const float *restrict other = t->gradients + part * t->n_weights;
        for (long i = first; i < last; ++i) {
            gradient[i] += other[i];
        }
    }
    for (long i = first; i < last; ++i) {
        const float g = gradient[i];
        float m = mean[i] + (float)(1 - BETA_1) * (g - mean[i]);
        m = fabsf(m) < TINY ? 0 : m; /* smaller numbers take a processor a hundred times as long */
        const float v = (float)BETA_2 * square[i] + (float)(1 - BETA_2) * g * g;
        mean[i] = m;
        square[i] = v < TINY ? 0 : v;
        const float w = decay * weights[i] - rate * m / (sqrtf(v) / correction + EPSILON);
        weights[i] = w;
        served[i] += share * (w - served[i]);
    }
}

/* What a thread does; `loss` is for its result. */
typedef struct job {
    void (*work)(struct job *);
    training *training;
    int thread;
    const int64_t *order;
    int n_steps;
    long step, n_rows;
    const float *learning_rates, *shares, *positions, *packed;
    double loss;
} job;

static void take_steps(job *job)
{
    training *t = job->training;
    const long n = t->n_weights;
    const int64_t *order = job->order;
    float *table = t->scratch + job->thread * t->n_scratch;
    float *scratch = table + (size_t)t->first->n_points * t->widths[0];
    for (int i = 0; i < job->n_steps; ++i, order += t->batch_size) {
        table_of_weights_ff(t->first, t->weights, t->widths[0], table);
        for (int part = job->thread; part < t->n_parts; part += t->n_threads) {
            const long from = (long)t->batch_size * part / t->n_parts;
            const long to = (long)t->batch_size * (part + 1) / t->n_parts;
            float *gradient = t->gradients + part * n;
            t->part_losses[part] += gradient_of(t, table, order + from, (int)(to - from), scratch, gradient);
        }
        meet(t);
        update(t, n * job->thread / t->n_threads, n * (job->thread + 1) / t->n_threads, job->step + i,
               job->learning_rates[i], job->shares[i]);
        meet(t);
    }
}

static void add_losses(job *job)
{
    const training *t = job->training;
    const int part_rows = (t->batch_size + t->n_parts - 1) / t->n_parts; /* as many as the scratch is for */
    float *table = t->scratch + job->thread * t->n_scratch;
    const memory m = lay_out(t, part_rows, table + (size_t)t->first->n_points * t->widths[0]);
    table_of_weights_ff(t->first, t->served, t->widths[0], table);
    for (long first = (long)job->thread * part_rows; first < job->n_rows; first += (long)t->n_threads * part_rows) {
        const int n = (int)(job->n_rows - first < part_rows ? job->n_rows - first : part_rows);
        compute_outputs(t, t->served, table, job->positions + first * t->first->n_columns, NULL, n, &m);
        job->loss += losses_of(t, job->packed + first * t->packed_width, NULL, n, &m);
    }
}

static void *run(void *argument)
{
    job *job = argument;
    while (!__atomic_load_n(&job->training->n_threads, __ATOMIC_ACQUIRE)) {
        sched_yield(); /* it is not known yet how many threads there are */
    }
    job->work(job);
    return NULL;
}

/* Has some threads do the same job, or fewer if no more can be made. */
static void on_threads(const job *what, job *jobs)
{
    training *t = what->training;
    pthread_t threads[MOST_THREADS];
    int n_threads = 1;
    __atomic_store_n(&t->n_threads, 0, __ATOMIC_RELEASE);
    for (int k = 0; k < t->most_threads; ++k) {
        jobs[k] = *what;
        jobs[k].thread = k;
    }
    while (n_threads < t->most_threads && !pthread_create(&threads[n_threads], NULL, run, &jobs[n_threads])) {
        ++n_threads;
    }
    __atomic_store_n(&t->n_threads, n_threads, __ATOMIC_RELEASE);
    run(&jobs[0]);
    for (int k = 1; k < n_threads; ++k) {
        pthread_join(threads[k], NULL);
    }
}

/* Takes steps, the first of which is number `step` (from 1), on batches of rows in an order. */
void network_steps(training *t, const int64_t *order, int n_steps, long step, const float *learning_rates,
                   const float *shares)
{
    job jobs[MOST_THREADS];
    const job what = {.work = take_steps,
                      .training = t,
                      .order = order,
                      .n_steps = n_steps,
                      .step = step,
                      .learning_rates = learning_rates,
                      .shares = shares};
    on_threads(&what, jobs);
}

/* Computes the sum of the losses of the network that is served, on rows that it does not learn from. */
double network_loss(training *t, const float *positions, const float *packed, long n_rows)
{
    job jobs[MOST_THREADS];
    const job what = {.work = add_losses,
                      .training = t,
                      .positions = positions,
                      .packed = packed,
                      .n_rows = n_rows};
    double loss = 0;
    on_threads(&what, jobs);
    for (int k = 0; k < t->n_threads; ++k) {
        loss += jobs[k].loss;
    }
    return loss;
}
