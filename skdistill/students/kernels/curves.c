/* Sums of curves at positions, and their derivatives: the first layer of students that encode their columns.
 *
 * A table holds the points of all curves, one after the other, each of `width` numbers. The curve of a column of
 * numbers has a point per edge, then one for missing if that has a code; one of categories has a point per level.
 * Positions and numbers have the types POSITION and NUMBER; this file is compiled once per pair of them. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#ifndef CURVES
#define CURVES
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "Missing numbers are NaN: compile without -ffast-math and -Ofast"
#endif

/* By column: its first point, the number of its edges (0 for categories), of its other points, and its first code. */
typedef struct {
    int n_columns, n_points;
    const int *first, *n_edges, *n_others, *first_code;
} curves;

/* Finds the bin of every number and how far it lies in it; NaN where missing, unless there is something to fill in. */
void curve_positions(const double *values, long n_rows, long stride, const double *edges, int n_edges, double fill,
                     double *positions, long positions_stride)
{
    const double last = edges[n_edges - 1];
    for (long r = 0; r < n_rows; ++r, values += stride, positions += positions_stride) {
        double value = *values != *values ? fill : *values;
        value = value < edges[0] ? edges[0] : value > last ? last : value;
        if (n_edges == 1) {
            *positions = value - edges[0];
            continue;
        }
        int bin = 0;
        for (int width = n_edges - 1; width > 1;) {
            const int half = width / 2;
            bin += value >= edges[bin + half] ? half : 0;
            width -= half;
        }
        *positions = bin + (value - edges[bin]) / (edges[bin + 1] - edges[bin]);
    }
}

/* Does so for all columns of a table: `edge_start` has the number of the first edge of every column, and the end. */
void all_positions(const double *values, long n_rows, long row_stride, long column_stride, int n_columns,
                   const double *edges, const int *edge_start, const double *fill, double *positions)
{
    for (int j = 0; j < n_columns; ++j) {
        const int first = edge_start[j], n_edges = edge_start[j + 1] - first;
        curve_positions(values + j * column_stride, n_rows, row_stride, edges + first, n_edges, fill[j], positions + j,
                        n_columns);
    }
}
#endif

#define BLOCK 64
#define SMALL_BLOCK 8

/* Finds the point at or before every position of a row, -1 if there is none, and the share of the next. */
static void NAME(find_points)(const curves *of, const POSITION *row, int *point, NUMBER *share)
{
    for (int j = 0; j < of->n_columns; ++j) {
        const int n_edges = of->n_edges[j];
        const POSITION at = row[j];
        share[j] = 0;
        if (at != at) {
            point[j] = of->n_others[j] ? of->first[j] + n_edges : -1;
        } else if (at < 0) { /* an unknown category */
            point[j] = -1;
        } else {
            int k = (int)at;
            if (n_edges) {
                k = k > n_edges - 2 ? n_edges > 1 ? n_edges - 2 : 0 : k;
                share[j] = (NUMBER)(at - k);
            }
            point[j] = of->first[j] + k;
        }
    }
}

/* Adds up `n` numbers, a constant where this is called, of the points of a row. */
static inline void NAME(add_points)(int n, int n_columns, const int *point, const NUMBER *share, const NUMBER *table,
                                    int width, const NUMBER *start, NUMBER *out)
{
    NUMBER sum[BLOCK];
    for (int i = 0; i < n; ++i) {
        sum[i] = start[i];
    }
    for (int j = 0; j < n_columns; ++j) {
        if (point[j] < 0) {
            continue;
        }
        const NUMBER *at = table + (size_t)point[j] * width, s = share[j];
        if (s == 0) {
            for (int i = 0; i < n; ++i) {
                sum[i] += at[i];
            }
        } else {
            const NUMBER *next = at + width, rest = 1 - s;
            for (int i = 0; i < n; ++i) {
                sum[i] += rest * at[i] + s * next[i];
            }
        }
    }
    for (int i = 0; i < n; ++i) {
        out[i] = sum[i];
    }
}

/* Computes the sum of `start` and the curves for a row, whose points it finds. */
static void NAME(sum_row)(const curves *of, const POSITION *row, const NUMBER *table, int width, const NUMBER *start,
                          int *point, NUMBER *share, NUMBER *out)
{
    const int n_columns = of->n_columns;
    NAME(find_points)(of, row, point, share);
    int k = 0;
    for (; k + BLOCK <= width; k += BLOCK) {
        NAME(add_points)(BLOCK, n_columns, point, share, table + k, width, start + k, out + k);
    }
    for (; k + SMALL_BLOCK <= width; k += SMALL_BLOCK) {
        NAME(add_points)(SMALL_BLOCK, n_columns, point, share, table + k, width, start + k, out + k);
    }
    for (; k < width; ++k) {
        NAME(add_points)(1, n_columns, point, share, table + k, width, start + k, out + k);
    }
}

void NAME(curve_sums)(const curves *of, const POSITION *positions, long n_rows, const NUMBER *table, int width,
                      const NUMBER *start, NUMBER *out)
{
    int point[of->n_columns + 1];
    NUMBER share[of->n_columns + 1];
    for (long r = 0; r < n_rows; ++r, positions += of->n_columns, out += width) {
        NAME(sum_row)(of, positions, table, width, start, point, share, out);
    }
}

/* Computes, for every row of two positions, what a table of two columns has between its points along both. */
void NAME(pair_sums)(const curves *of, const POSITION *positions, long n_rows, const NUMBER *table, int width,
                     NUMBER *out)
{
    const int n_second = of->n_points - of->first[1];
    for (long r = 0; r < n_rows; ++r, positions += 2, out += width) {
        int point[2];
        NUMBER share[2];
        NAME(find_points)(of, positions, point, share);
        memset(out, 0, sizeof(NUMBER) * width);
        for (int corner = 0; corner < 4; ++corner) {
            const int after = corner / 2, beside = corner % 2;
            const NUMBER s = (after ? share[0] : 1 - share[0]) * (beside ? share[1] : 1 - share[1]);
            if (s == 0 || point[0] < 0 || point[1] < 0) {
                continue;
            }
            const size_t cell = (size_t)(point[0] + after) * n_second + (point[1] - of->first[1] + beside);
            for (int i = 0; i < width; ++i) {
                out[i] += s * table[cell * width + i];
            }
        }
    }
}

/* Adds `n` numbers of the gradient of a row, a constant where this is called, to those of its points. */
static inline void NAME(spread_gradient)(int n, int n_columns, const int *point, const NUMBER *share,
                                         const NUMBER *gradient, int width, NUMBER *table)
{
    NUMBER g[BLOCK];
    for (int i = 0; i < n; ++i) {
        g[i] = gradient[i];
    }
    for (int j = 0; j < n_columns; ++j) {
        if (point[j] < 0) {
            continue;
        }
        NUMBER *at = table + (size_t)point[j] * width;
        const NUMBER s = share[j], rest = 1 - s;
        for (int i = 0; i < n; ++i) {
            at[i] += rest * g[i];
        }
        if (s != 0) {
            NUMBER *next = at + width;
            for (int i = 0; i < n; ++i) {
                next[i] += s * g[i];
            }
        }
    }
}

/* Adds the gradient of the sums of a row to that of the table. */
static void NAME(spread_row)(int n_columns, const int *point, const NUMBER *share, const NUMBER *gradient, int width,
                             NUMBER *table)
{
    int k = 0;
    for (; k + BLOCK <= width; k += BLOCK) {
        NAME(spread_gradient)(BLOCK, n_columns, point, share, gradient + k, width, table + k);
    }
    for (; k + SMALL_BLOCK <= width; k += SMALL_BLOCK) {
        NAME(spread_gradient)(SMALL_BLOCK, n_columns, point, share, gradient + k, width, table + k);
    }
    for (; k < width; ++k) {
        NAME(spread_gradient)(1, n_columns, point, share, gradient + k, width, table + k);
    }
}

/* Computes the gradient of a table from that of the sums of every row. */
void NAME(table_gradient)(const curves *of, const POSITION *positions, long n_rows, const NUMBER *gradient, int width,
                          NUMBER *table)
{
    int point[of->n_columns + 1];
    NUMBER share[of->n_columns + 1];
    memset(table, 0, sizeof(NUMBER) * (size_t)of->n_points * width);
    for (long r = 0; r < n_rows; ++r, positions += of->n_columns, gradient += width) {
        NAME(find_points)(of, positions, point, share);
        NAME(spread_row)(of->n_columns, point, share, gradient, width, table);
    }
}

/* Turns the weights of codes into the points of curves: sums over bins, which begin at 0. */
void NAME(table_of_weights)(const curves *of, const NUMBER *weights, int width, NUMBER *table)
{
    for (int j = 0; j < of->n_columns; ++j) {
        const NUMBER *w = weights + (size_t)of->first_code[j] * width;
        NUMBER *t = table + (size_t)of->first[j] * width;
        if (of->n_edges[j]) {
            memset(t, 0, sizeof(NUMBER) * width);
            for (int k = 1; k < of->n_edges[j]; ++k, t += width, w += width) {
                for (int i = 0; i < width; ++i) {
                    t[width + i] = t[i] + w[i];
                }
            }
            t += width;
        }
        memcpy(t, w, sizeof(NUMBER) * (size_t)of->n_others[j] * width);
    }
}

/* Turns the gradient of a table into that of the weights. */
void NAME(weight_gradient)(const curves *of, const NUMBER *table, int width, NUMBER *weights)
{
    for (int j = 0; j < of->n_columns; ++j) {
        const int n_edges = of->n_edges[j], n_bins = n_edges ? n_edges - 1 : 0;
        const NUMBER *t = table + (size_t)(of->first[j] + n_edges) * width;
        NUMBER *w = weights + (size_t)(of->first_code[j] + n_bins) * width;
        memcpy(w, t, sizeof(NUMBER) * (size_t)of->n_others[j] * width);
        for (int k = n_bins; k > 0; --k) {
            t -= width;
            w -= width;
            for (int i = 0; i < width; ++i) {
                w[i] = k < n_bins ? w[width + i] + t[i] : t[i];
            }
        }
    }
}

#undef BLOCK
#undef SMALL_BLOCK
#undef NAME
#undef POSITION
#undef NUMBER
