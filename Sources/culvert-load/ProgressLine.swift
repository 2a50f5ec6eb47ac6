internal import CulvertIO

/// What one thread did since it told last.
struct ProgressFigures: Sendable {
    let figures: Figures
    let mean: Double?
    let longest: UInt64?
    let troubles: Int
}

/// The line that a person sees while a run goes on: what every part did in the last second.
struct ProgressLine {
    private let parts: [LoadPart]
    private var pending: [(part: Int, figures: ProgressFigures)] = []
    private var clockStarted: Tick?

    init(_ parts: [LoadPart]) { self.parts = parts }

    mutating func start(_ now: Tick) { clockStarted = now }

    /// A new line, once so many threads have told.
    mutating func take(_ figures: ProgressFigures, of part: Int, from threads: Int) -> String? {
        pending.append((part, figures))
        guard pending.count >= threads, let clockStarted else { return nil }
        let told = pending
        pending = []
        let elapsed = (Tick.current() - clockStarted).seconds
        let isWarmingUp = elapsed < parts[0].workload.warmup.seconds + 0.5
        var words = ["\(Int(elapsed.rounded())) s" + (isWarmingUp ? " (warming up)" : "")]
        for (number, part) in parts.enumerated() {
            let of = told.filter { $0.part == number }.map(\.figures)
            let name = parts.count > 1 ? ["| " + part.label] : []
            words += name + Self.words(of, exchanges: part.workload.exchanges)
        }
        let troubles = told.reduce(0) { $0 + $1.figures.troubles }
        if troubles > 0 { words.append("\(troubles) errors") }
        return words.joined(separator: "  ")
    }

    private static func words(_ parts: [ProgressFigures], exchanges: Bool) -> [String] {
        let sum = parts.reduce(Figures()) { $0 + $1.figures }
        var words: [String] = []
        if sum.bytesUp > 0 { words.append("up " + Amounts.rate(Double(sum.bytesUp))) }
        if sum.bytesDown > 0 { words.append("down " + Amounts.rate(Double(sum.bytesDown))) }
        guard exchanges else { return words }
        words.append("\(sum.answers) answers/s")
        let means = parts.compactMap(\.mean)
        if !means.isEmpty, let longest = parts.compactMap(\.longest).max() {
            let mean = means.reduce(0, +) / Double(means.count)
            words.append("mean \(Amounts.latency(mean)), longest \(Amounts.latency(Double(longest)))")
        }
        return words
    }
}
