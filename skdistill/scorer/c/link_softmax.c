static void link_answers(const weight *out, number *answers)
{
    weight largest = out[0];
    number total = 0;
    for (int k = 1; k < N_OUTPUTS; ++k) {
        largest = out[k] > largest ? out[k] : largest;
    }
    for (int k = 0; k < N_OUTPUTS; ++k) {
        answers[k] = EXP((number)(out[k] - largest));
        total += answers[k];
    }
    for (int k = 0; k < N_OUTPUTS; ++k) {
        answers[k] /= total;
    }
}
