static void score(const number *row, number *answers)
{
    weight sum[WIDTH], out[N_OUTPUTS];
    for (int i = 0; i < WIDTH; ++i) {
        sum[i] = intercept[i];
    }
    for (int j = 0; j < N_COLUMNS; ++j) {
        add_curve(j, row[j], sum);
    }
    run_layers(sum, out);
    link_answers(out, answers);
}
