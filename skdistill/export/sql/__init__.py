"""Trees, sums of trees and additive students as SQL."""
