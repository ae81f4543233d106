static int goes_left(int node, const number *row)
{
    const int column = node_column[node];
    number cell = row[column];
#if HAS_LEVELS
    if (level_count[column] >= 0) {
        const int level = level_of(column, cell);
        cell = level < level_count[column] ? (number)level : (number)NAN;
    }
#endif
    return (cell <= node_threshold[node]) | ((cell != cell) & node_missing_left[node]);
}

/* All splits are decided, then every tree takes as many steps as it is deep; a leaf, and those come
 * after the splits, is followed by itself. So there is no branch to mispredict. */
static void score(const number *row, number *answers)
{
    weight out[N_OUTPUTS];
    unsigned char left[N_NODES] = {0};
    for (int node = 0; node < N_SPLITS; ++node) {
        left[node] = (unsigned char)goes_left(node, row);
    }
    for (int k = 0; k < N_OUTPUTS; ++k) {
        out[k] = intercept[k];
    }
    for (int tree = 0; tree < N_TREES; ++tree) {
        int node = roots[tree];
        for (int step = 0; step < depths[tree]; ++step) {
            node = next_nodes[2 * node + left[node]];
        }
        const weight *leaf = leaf_outputs + (size_t)(node - N_SPLITS) * N_OUTPUTS;
        for (int k = 0; k < N_OUTPUTS; ++k) {
            out[k] += leaf[k];
        }
    }
    link_answers(out, answers);
}
