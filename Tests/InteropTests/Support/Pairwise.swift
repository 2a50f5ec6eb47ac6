/// Combinations of one value from each of several lists.
enum Pairwise {
    /// All of them.
    static func product(_ lists: [[String]]) -> [[String]] {
        lists.reduce([[]]) { combinations, list in
            combinations.flatMap { combination in list.map { combination + [$0] } }
        }
    }

    /// Two values from two lists.
    struct Pair: Hashable {
        let lists: [Int]
        let values: [String]
    }

    static func pairs(_ combination: [String]) -> Set<Pair> {
        var found: Set<Pair> = []
        for second in combination.indices {
            for first in 0..<second {
                found.insert(Pair(lists: [first, second], values: [combination[first], combination[second]]))
            }
        }
        return found
    }

    /// So few of them that each pair of values of two lists is in one: always the next that has most pairs which are
    /// still missing, the earliest of equals.
    static func cover(_ lists: [[String]]) -> [[String]] {
        let all = product(lists)
        var missing = all.reduce(into: Set<Pair>()) { $0.formUnion(pairs($1)) }
        var chosen: [[String]] = []
        while !missing.isEmpty {
            var best: (combination: [String], count: Int) = ([], 0)
            for combination in all {
                let count = pairs(combination).intersection(missing).count
                if count > best.count { best = (combination, count) }
            }
            chosen.append(best.combination)
            missing.subtract(pairs(best.combination))
        }
        return chosen
    }
}
