static void score(const number *row, number *answers)
{
    weight sum[WIDTH], out[N_OUTPUTS];
    int points[N_COLUMNS];
    for (int i = 0; i < WIDTH; ++i) {
        sum[i] = intercept[i];
    }
    for (int j = 0; j < N_COLUMNS; ++j) {
        points[j] = add_curve(j, row[j], sum);
    }
    add_tables(row, points, sum);
    run_layers(sum, out);
    link_answers(out, answers);
}
