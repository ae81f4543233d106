static void link(const weight *out, number *answers)
{
    weight largest = out[0], total = 0;
    for (int k = 1; k < N_OUTPUTS; ++k) {
        largest = out[k] > largest ? out[k] : largest;
    }
    for (int k = 0; k < N_OUTPUTS; ++k) {
        answers[k] = expf((float)(out[k] - largest));
        total += (weight)answers[k];
    }
    for (int k = 0; k < N_OUTPUTS; ++k) {
        answers[k] /= total;
    }
}
