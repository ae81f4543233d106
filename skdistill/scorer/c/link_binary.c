/* The logistic function; the smaller of both probabilities keeps its digits. */
static void link_answers(const weight *out, number *answers)
{
    const number z = (number)out[0];
    const number odds = EXP(z > 0 ? -z : z);
    const number larger = 1 / (1 + odds), smaller = odds / (1 + odds);
    answers[0] = z > 0 ? smaller : larger;
    answers[1] = z > 0 ? larger : smaller;
}
