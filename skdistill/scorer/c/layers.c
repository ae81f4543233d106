/* A layer on rectified inputs. The weights lie in blocks of BLOCK outputs, each of which is summed
 * up in registers. */
static inline void wide_layer(const weight *restrict in, int n_in, const weight *restrict weights,
                              const weight *restrict bias, int n_out, weight *restrict out)
{
    for (int first = 0; first < n_out; first += BLOCK) {
        weight block[BLOCK] = {0};
        for (int i = 0; i < n_in; ++i) {
            const weight active = in[i] > 0 ? in[i] : 0;
            for (int k = 0; k < BLOCK; ++k) {
                block[k] += active * weights[k];
            }
            weights += BLOCK;
        }
        for (int k = 0; k < BLOCK && first + k < n_out; ++k) {
            out[first + k] = block[k] + bias[first + k];
        }
    }
}

/* The same for few outputs. The weights of an output lie side by side, and LANES partial sums are
 * kept in registers. */
static inline void narrow_layer(const weight *restrict in, int n_in, const weight *restrict weights,
                                const weight *restrict bias, int n_out, weight *restrict out)
{
    for (int k = 0; k < n_out; ++k) {
        weight lanes[LANES] = {0};
        int i = 0;
        for (; i + LANES <= n_in; i += LANES) {
            for (int lane = 0; lane < LANES; ++lane) {
                const weight active = in[i + lane] > 0 ? in[i + lane] : 0;
                lanes[lane] += active * weights[i + lane];
            }
        }
        for (; i < n_in; ++i) {
            lanes[0] += in[i] > 0 ? in[i] * weights[i] : 0;
        }
        out[k] = bias[k];
        for (int lane = 0; lane < LANES; ++lane) {
            out[k] += lanes[lane];
        }
        weights += n_in;
    }
}
