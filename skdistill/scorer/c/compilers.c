/* Missing is NaN and an infinite cell is refused: a compiler that may assume that there are neither
 * would return wrong numbers without an error. */
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#error "Compile this file without -ffast-math and -Ofast (/fp:fast), or add -fno-finite-math-only."
#endif

#ifdef __cplusplus /* which has no restrict, but compilers know it by this name */
#define RESTRICT __restrict
#else
#define RESTRICT restrict
#endif
