/// The known name that was probably meant.
enum NearestName {
    /// The candidate with the fewest edits (insert, delete, replace, swap of neighbours), case-insensitive; the first
    /// in order of those that tie. nil where each would take more edits than a third of its length, or of the name's:
    /// that is no mistake of typing.
    static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
        var best: (name: String, distance: Int)?
        let wanted = Array(name.lowercased())
        for candidate in candidates {
            let letters = Array(candidate.lowercased())
            let distance = edits(wanted, letters)
            guard distance * 3 <= max(wanted.count, letters.count) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        return best?.name
    }

    /// What stands behind the name of an unknown thing: the question, or `otherwise` where nothing is near.
    static func hint(for name: String, among candidates: some Sequence<String>, otherwise: String = "") -> String {
        of(name, among: candidates).map { ": did you mean \($0)?" } ?? otherwise
    }

    /// Optimal string alignment distance.
    private static func edits(_ left: [Character], _ right: [Character]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let cost = left[row] == right[column] ? 0 : 1
                var least = min(last[column + 1] + 1, current[column] + 1, last[column] + cost)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    least = min(least, beforeLast[column - 1] + 1)
                }
                current.append(least)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
