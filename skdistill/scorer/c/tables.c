/* The share of the way from an edge to the next one; 0 at points that are no edges, or the last. */
static number share_after(const number *edges, int n_edges, int point, number cell)
{
    if (point >= n_edges - 1) {
        return 0;
    }
    const number share = (cell - edges[point]) / (edges[point + 1] - edges[point]);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* Adds what the tables of pairs hold at a point, or between four of them. An axis is a column with
 * some of the edges of its curve; the point on it follows from that of the curve. */
static void add_tables(const number *row, const int *points_of_curves, weight *RESTRICT sum)
{
    int point[N_AXES], step[N_AXES];
    weight share[N_AXES];
    for (int axis = 0; axis < N_AXES; ++axis) {
        const int j = axis_column[axis], start = axis_edge_start[axis];
        const int n_edges = axis_edge_start[axis + 1] - start;
        point[axis] = axis_points[axis_point_start[axis] + points_of_curves[j]];
        step[axis] = point[axis] < n_edges - 1;
        share[axis] = (weight)share_after(axis_edges + start, n_edges, point[axis], row[j]);
    }
    for (int k = 0; k < N_TABLES; ++k) {
        const int a = table_axes[2 * k], b = table_axes[2 * k + 1], length = table_row_length[k];
        const size_t below = (size_t)(step[a] * length) * WIDTH, right = (size_t)step[b] * WIDTH;
        const weight *corner =
            table_points + ((size_t)table_start[k] + (size_t)(point[a] * length + point[b])) * WIDTH;
        for (int i = 0; i < WIDTH; ++i, ++corner) {
            const weight upper = corner[0] + share[b] * (corner[right] - corner[0]);
            const weight lower = corner[below] + share[b] * (corner[below + right] - corner[below]);
            sum[i] += upper + share[a] * (lower - upper);
        }
    }
}
