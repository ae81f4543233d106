static void add_curve(int column, number cell, weight *RESTRICT sum)
{
    const weight *points = curve_points + (size_t)curve_start[column] * WIDTH;
#if HAS_LEVELS
    if (level_count[column] >= 0) {
        add_point(points + (size_t)level_of(column, cell) * WIDTH, 0, sum);
        return;
    }
#endif
    const number *edges = curve_edges + edge_start[column];
    const int n_edges = edge_start[column + 1] - edge_start[column];
    if (cell != cell) { /* missing has the last point */
        add_point(points + (size_t)n_edges * WIDTH, 0, sum);
        return;
    }
    int at = 0;
    for (int width = n_edges - 1; width > 1;) { /* the last bin whose left edge is not above */
        const int half = width / 2;
        at += cell >= edges[at + half] ? half : 0;
        width -= half;
    }
    number share = 0;
    if (n_edges > 1) {
        share = (cell - edges[at]) / (edges[at + 1] - edges[at]);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
    }
    add_point(points + (size_t)at * WIDTH, (weight)share, sum);
}
