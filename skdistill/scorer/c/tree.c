static void score(const number *row, number *answers)
{
    int node = ROOT;
    while (node >= 0) {
        const int column = node_column[node];
        number cell = row[column];
#if HAS_LEVELS
        if (level_count[column] >= 0) {
            const int level = level_of(column, cell);
            cell = level < level_count[column] ? (number)level : (number)NAN;
        }
#endif
        const int left = cell != cell ? node_missing_left[node] : cell <= node_threshold[node];
        node = left ? node_left[node] : node_right[node];
    }
    for (int k = 0; k < N_ANSWERS; ++k) { /* the leaves are numbered -1, -2, ... */
        answers[k] = leaf_answers[(-1 - node) * N_ANSWERS + k];
    }
}
