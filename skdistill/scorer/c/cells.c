/* A cell that is infinite is an error, not a number: 1 + the position of the first, else 0. */
static int first_infinite(const number *row)
{
    for (int j = 0; j < N_COLUMNS; ++j) {
        if (row[j] > NUMBER_MAX || row[j] < -NUMBER_MAX) {
            return j + 1;
        }
    }
    return 0;
}
