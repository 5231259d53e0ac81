package engine

// Nearest returns the candidate that s was most likely meant to be, "" if none
// is near: more than a third of it, and more than two letters, would have to
// change. Letters that were swapped count once.
func Nearest(s string, candidates []string) string {
	best, least := "", max(len(s)/3, 2)+1
	for _, c := range candidates {
		if d := editDistance(s, c, least); d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance is how many bytes must be inserted, deleted, replaced or swapped
// with their neighbour to turn a into b, or limit if it is not less.
func editDistance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
