/**
 * The candidate that was most likely meant by `written`, or null. Names that differ only in case or in separators always
 * count as near; others by the number of inserted, dropped, replaced or swapped characters, one for each three.
 */
export function nearest(written: string, candidates: readonly string[]): string | null {
  const plain = simplify(written);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, simplify(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null || plain.length < 3) return best;
  // A name that was cut off, when only one goes on from there.
  const longer = Array.from(candidates).filter((candidate) => simplify(candidate).startsWith(plain));
  return longer.length === 1 ? (longer[0] ?? null) : null;
}

/** `: did you mean "x"?`, or the text that stands there when nothing is near. */
export function suggest(written: string, candidates: readonly string[], otherwise = ""): string {
  const name = nearest(written, candidates);
  return name === null ? otherwise : `: did you mean "${name}"?`;
}

function simplify(name: string): string {
  return name.toLowerCase().replaceAll("-", "").replaceAll("_", "");
}

/** Optimal string alignment distance; `bound` or more is given back as `bound`. */
function editDistance(a: string, b: string, bound: number): number {
  if (Math.abs(a.length - b.length) >= bound) return bound;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return Math.min(previous[b.length] ?? bound, bound);
}
