// The exact paired tests of `finbench.leaderboard.exact`, with the same numbers.
const SMALLEST = 2.2250738585072014e-308;

function ratioToPower(found, exponent) { // found / 2 ** exponent, rounded once
  const cut = Math.max(0, 4 * found.toString(16).length - 64);
  let top = found >> BigInt(cut);
  if (found !== top << BigInt(cut)) top |= 1n;
  return Number(top) * 2 ** -64 * 2 ** (cut + 64 - exponent);
}

function atMost(successes, trials) { // as many heads at most of so many coins
  let ways = 1n, found = 1n;
  for (let taken = 0; taken < successes; taken++) {
    ways = ways * BigInt(trials - taken) / BigInt(taken + 1);
    found += ways;
  }
  return Math.max(ratioToPower(found, trials), SMALLEST);
}

const floorOf = (differing) => Math.min(1, 2 ** (1 - Math.min(differing, 1000)));

function mcnemar(lost, gained) {
  const p = Math.min(1, 2 * atMost(Math.min(lost, gained), lost + gained));
  return { p, floor: floorOf(lost + gained), method: "exact McNemar test" };
}

function halves(number) { // the probabilities of 0 to `number` heads
  const found = [0];
  for (let step = 0; step < number; step++) found.push(found[step] + Math.log((number - step) / (step + 1)));
  return found.map((log) => Math.exp(log - number * Math.LN2));
}

function swapped(differences) { // whole clusters change sides, every way counted
  const times = new Map();
  for (const one of differences) if (one) times.set(Math.abs(one), (times.get(Math.abs(one)) || 0) + 1);
  let weights = [1];
  for (const [size, number] of [...times].sort(([a, m], [b, n]) => n - m || a - b)) {
    const longer = new Array(weights.length + size * number).fill(0);
    halves(number).forEach((ways, taken) => {
      if (ways) weights.forEach((weight, place) => { longer[taken * size + place] += ways * weight; });
    });
    weights = longer;
  }
  const total = Math.abs(differences.reduce((sum, one) => sum + one, 0));
  const last = Math.floor((weights.length - 1 - total) / 2);
  const below = weights.slice(0, last + 1).reduce((sum, one) => sum + one, 0);
  const p = total ? Math.max(Math.min(1, 2 * below), SMALLEST) : 1;
  const differing = differences.filter(Boolean).length;
  return { p, floor: floorOf(differing), method: "exact swaps of clusters, since rows repeat" };
}
