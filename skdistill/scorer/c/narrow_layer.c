/* A layer of few outputs on rectified inputs. The weights of an output lie side by side, and LANES partial sums are
 * kept in registers. */
static inline void narrow_layer(const weight *RESTRICT in, int n_in, const weight *RESTRICT weights,
                                const weight *RESTRICT bias, int n_out, weight *RESTRICT out)
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
