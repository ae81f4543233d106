number student_answer(const number *row)
{
    number answers[N_ANSWERS];
    student_score(row, answers);
    return answers[N_ANSWERS - 1];
}
