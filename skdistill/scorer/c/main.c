/* Scores CSV: a header that names the columns, in any order and among others, then rows; an empty
 * cell is missing. Writes a row of answers for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 4096, MAX_TEXT = 65536, END_OF_FIELD = 0, END_OF_LINE = 1, END_OF_FILE = 2 };

static long line_number = 1;

static void fail(const char *column, const char *text, const char *problem)
{
    fprintf(stderr, "line %ld, column '%s': '%.200s' %s\n", line_number, column, text, problem);
    exit(1);
}

/* Reads a field without its quotes; returns what ended it, and sets whether it was quoted. */
static int read_field(char *text, int *quoted)
{
    size_t length = 0;
    int c = getchar();
    *quoted = c == '"';
    if (*quoted) {
        for (c = getchar(); c != EOF; c = getchar()) {
            if (c == '"' && (c = getchar()) != '"') {
                break;
            }
            if (length + 1 < MAX_TEXT) {
                text[length++] = (char)c;
            }
        }
    }
    while (c != EOF && c != ',' && c != '\n') {
        if (c != '\r' && length + 1 < MAX_TEXT) {
            text[length++] = (char)c;
        }
        c = getchar();
    }
    text[length] = '\0';
    return c == ',' ? END_OF_FIELD : c == '\n' ? END_OF_LINE : END_OF_FILE;
}

static number read_number(const char *column, const char *text)
{
    char *rest;
    const double value = strtod(text, &rest);
    if (rest == text || rest[strspn(rest, " \t")] != '\0') {
        fail(column, text, "is no number");
    }
    return (number)value;
}

static number read_cell(int column, const char *text, int quoted)
{
    if (text[0] == '\0' && !quoted) {
        return (number)NAN;
    }
#if HAS_LEVELS
    if (level_count[column] >= 0 && level_numbers[column] == NULL) {
        return (number)student_level(column, text);
    }
#endif
    return text[0] == '\0' ? (number)NAN : read_number(column_names[column], text);
}

/* Finds the column of every field of the header; -1 where the model has none of that name. */
static int read_header(int *column_of)
{
    static char text[MAX_TEXT];
    int seen[N_COLUMNS] = {0}, n_fields = 0, end, quoted;
    do {
        end = read_field(text, &quoted);
        if (n_fields == MAX_FIELDS) {
            fail(text, text, "is one column too many");
        }
        if (n_fields == 0 && strncmp(text, "\357\273\277", 3) == 0) {
            memmove(text, text + 3, strlen(text) - 2); /* a byte order mark */
        }
        column_of[n_fields] = -1;
        for (int j = 0; j < N_COLUMNS; ++j) {
            if (strcmp(text, column_names[j]) == 0) {
                column_of[n_fields] = j;
                seen[j] = 1;
            }
        }
        ++n_fields;
    } while (end == END_OF_FIELD);
    for (int j = 0; j < N_COLUMNS; ++j) {
        if (!seen[j]) {
            fail(column_names[j], column_names[j], "is missing in the header");
        }
    }
    return n_fields;
}

/* Reads a row; 0 at the end of the file. */
static int read_row(const int *column_of, int n_fields, number *row)
{
    static char text[MAX_TEXT];
    int field = 0, end, quoted;
    do {
        end = read_field(text, &quoted);
        if (field == 0 && end != END_OF_FIELD && text[0] == '\0' && !quoted && n_fields > 1) {
            if (end == END_OF_FILE) {
                return 0;
            }
            ++line_number; /* an empty line */
            continue;
        }
        if (field == 0 && end == END_OF_FILE && text[0] == '\0' && !quoted) {
            return 0;
        }
        if (field == n_fields) {
            fail("", text, "is one cell more than the header has");
        }
        if (column_of[field] >= 0) {
            row[column_of[field]] = read_cell(column_of[field], text, quoted);
        }
        ++field;
    } while (end == END_OF_FIELD || field == 0);
    if (field < n_fields) {
        fail("", text, "is the last cell of a row shorter than the header");
    }
    return 1;
}

int main(void)
{
    static int column_of[MAX_FIELDS];
    number row[N_COLUMNS], answers[N_ANSWERS];
    const int n_fields = read_header(column_of);
    for (int k = 0; k < N_ANSWERS; ++k) {
        printf("%s%s", answer_names[k], k + 1 < N_ANSWERS ? "," : "\n");
    }
    for (++line_number; read_row(column_of, n_fields, row); ++line_number) {
        const int bad = student_score(row, answers);
        if (bad) {
            fail(column_names[bad - 1], "inf", "is no finite number");
        }
        for (int k = 0; k < N_ANSWERS; ++k) {
            /* all digits that the numbers have */
            const int digits = sizeof answers[k] > sizeof(float) ? 17 : 9;
            printf("%.*g%s", digits, (double)answers[k], k + 1 < N_ANSWERS ? "," : "\n");
        }
    }
    return 0;
}
