/* Number of the level that a cell holds, N_LEVELS if missing, N_LEVELS + 1 if unknown. */
static int level_of(int column, number cell)
{
    const int n_levels = level_count[column];
    if (cell != cell) {
        return n_levels;
    }
    if (level_numbers[column] == NULL) { /* strings: the cell holds the number of the level */
        return cell >= 0 && cell < (number)n_levels ? (int)cell : n_levels + 1;
    }
    for (int k = 0; k < n_levels; ++k) {
        if (level_numbers[column][k] == cell) {
            return k;
        }
    }
    return n_levels + 1;
}

int student_level(int column, const char *text)
{
    if (column < 0 || column >= N_COLUMNS || level_texts[column] == NULL) {
        return -1;
    }
    for (int k = 0; k < level_count[column]; ++k) {
        const char *level = level_texts[column][k], *at = text;
        while (*level != '\0' && *level == *at) {
            ++level;
            ++at;
        }
        if (*level == *at) {
            return k;
        }
    }
    return -1;
}
