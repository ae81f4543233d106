int student_score(const number *row, number *answers)
{
    const int bad = first_infinite(row);
    if (bad) {
        for (int k = 0; k < N_ANSWERS; ++k) {
            answers[k] = (number)NAN;
        }
    } else {
        score(row, answers);
    }
    return bad;
}

long student_score_rows(const number *rows, long n_rows, number *answers)
{
    long n_bad = 0;
    for (long i = 0; i < n_rows; ++i) {
        n_bad += student_score(rows + (size_t)i * N_COLUMNS, answers + (size_t)i * N_ANSWERS) != 0;
    }
    return n_bad;
}
