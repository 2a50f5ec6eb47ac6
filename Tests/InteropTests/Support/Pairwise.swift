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
        // Pairs are compared by number: there are thousands of combinations, and each is looked at a hundred times.
        var numbers: [Pair: Int] = [:]
        let all = product(lists).map { combination in
            let own = pairs(combination).map { pair in
                let number = numbers[pair] ?? numbers.count
                numbers[pair] = number
                return number
            }
            return (combination: combination, pairs: own)
        }
        var isMissing = [Bool](repeating: true, count: numbers.count)
        var missing = numbers.count
        var chosen: [[String]] = []
        while missing > 0 {
            var (best, most) = (0, 0)
            for (place, candidate) in all.enumerated() where most < candidate.pairs.count {
                var count = 0
                for pair in candidate.pairs where isMissing[pair] { count += 1 }
                if count > most { (best, most) = (place, count) }
            }
            chosen.append(all[best].combination)
            for pair in all[best].pairs { isMissing[pair] = false }
            missing -= most
        }
        return chosen
    }
}
