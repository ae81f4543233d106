/* The probabilities with which a row reaches the leaves of a soft tree, level by level and in place:
 * log_odds are those of going right, at its WIDTH inner nodes. */
static void path_probabilities(const weight *RESTRICT log_odds, weight *RESTRICT reach)
{
    reach[0] = 1;
    for (int n_nodes = 1; n_nodes <= WIDTH; n_nodes *= 2) {
        for (int k = n_nodes - 1; k >= 0; --k) {
            const weight z = log_odds[n_nodes - 1 + k], here = reach[k];
            const weight odds = expf(z > 0 ? -z : z);
            const weight larger = here / (1 + odds), smaller = here * odds / (1 + odds);
            reach[2 * k] = z > 0 ? smaller : larger;
            reach[2 * k + 1] = z > 0 ? larger : smaller;
        }
    }
}
