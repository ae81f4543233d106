/* A layer on rectified inputs. The weights lie in blocks of BLOCK outputs, each of which is summed
 * up in registers. */
static inline void wide_layer(const weight *RESTRICT in, int n_in, const weight *RESTRICT weights,
                              const weight *RESTRICT bias, int n_out, weight *RESTRICT out)
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
