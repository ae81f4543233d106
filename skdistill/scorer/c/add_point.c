/* Adds what a column contributes at a point of its curve, or between it and the next one. */
static void add_point(const weight *RESTRICT point, weight share, weight *RESTRICT sum)
{
    for (int i = 0; i < WIDTH; ++i) {
        sum[i] += point[i] + share * (point[i + WIDTH] - point[i]);
    }
}
