static void link_answers(const weight *out, number *answers)
{
    answers[0] = (number)out[0] * OUTPUT_SCALE + OUTPUT_SHIFT;
}
