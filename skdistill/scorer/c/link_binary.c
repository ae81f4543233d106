/* The logistic function; the smaller of both probabilities keeps its digits. */
static void link(const weight *out, number *answers)
{
    const weight odds = expf(out[0] > 0 ? -(float)out[0] : (float)out[0]);
    const weight larger = 1 / (1 + odds), smaller = odds / (1 + odds);
    answers[0] = out[0] > 0 ? smaller : larger;
    answers[1] = out[0] > 0 ? larger : smaller;
}
