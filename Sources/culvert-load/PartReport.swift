internal import CulvertIO

/// What one workload of a run has found.
struct PartReport {
    static let percentiles: [Double] = [50, 75, 90, 99, 99.9, 99.99]

    let outcome: LoadRun.PartOutcome

    private var command: String { outcome.part.label }
    private var workload: Workload { outcome.part.workload }
    private var result: ThreadResult { outcome.result }
    var seconds: Double { result.elapsed.seconds }

    var hasTrouble: Bool { result.troubles.total > 0 || result.unanswered > 0 || result.connected == 0 }

    // MARK: For people

    /// `number`: which part of a mix.
    func heading(_ number: Int?) -> [(String, String)] {
        let connections = workload.connections == 1 ? "1 connection" : "\(workload.connections) connections"
        let threads = workload.threads == 1 ? "1 thread" : "\(workload.threads) threads"
        return [
            (
                number.map { "workload \($0)" } ?? "workload",
                "\(command), \(connections), \(threads), seed \(workload.seed)"
            ),
            ("measured", "\(Amounts.decimal(seconds, 2)) s after \(Amounts.text(workload.warmup)) of warming up"),
        ]
    }

    var rows: [(String, String)] {
        (seconds > 0 ? figures : [])
            + [("verified", "\(result.verified) of \(result.connected) connections to their last byte, both ways")]
    }

    private var figures: [(String, String)] {
        var rows: [(String, String)] = []
        let measured = result.measured
        if workload.exchanges {
            let each = workload.kind == .churn ? "connections" : "requests"
            var rate = "\(Amounts.decimal(Double(measured.answers) / seconds, 1)) a second"
            if let asked = workload.rate { rate += " of \(Amounts.decimal(asked, 1)) asked for" }
            rows.append((each, rate))
        }
        if measured.bytesUp > 0 { rows.append(("up", Amounts.rate(Double(measured.bytesUp) / seconds))) }
        if measured.bytesDown > 0 { rows.append(("down", Amounts.rate(Double(measured.bytesDown) / seconds))) }
        if result.latencies.count > 0 {
            let from = workload.rate == nil ? "" : ", from when each was due"
            rows.append(("latency", "of \(result.latencies.count)\(from)"))
            if let mean = result.latencies.mean { rows.append(("  mean", Amounts.latency(mean))) }
            for percent in Self.percentiles {
                if let value = result.latencies.percentile(percent) {
                    rows.append(("  p\(Self.name(percent))", Amounts.latency(Double(value))))
                }
            }
            if let longest = result.latencies.longest { rows.append(("  longest", Amounts.latency(Double(longest)))) }
        }
        return rows
    }

    var errorRows: [(String, String)] {
        var words = TroubleKind.allCases.compactMap { kind in
            result.troubles[kind] > 0 ? "\(result.troubles[kind]) \(kind.rawValue)" : nil
        }
        if result.unanswered > 0 { words.append("\(result.unanswered) requests unanswered") }
        if words.isEmpty { words.append(result.connected == 0 ? "no connection was made" : "none") }
        return [("errors", words.joined(separator: ", "))]
    }

    /// The first troubles in words.
    var details: [String] {
        var lines = result.troubles.described.map { "  " + $0 }
        let more = result.troubles.total - result.troubles.described.count
        if more > 0 { lines.append("  and \(more) more") }
        return lines
    }

    private static func name(_ percent: Double) -> String {
        percent == percent.rounded() ? "\(Int(percent))" : "\(percent)"
    }

    // MARK: For programs

    func addSettings(to object: inout JSONObject) {
        object.add("command", command)
        object.add("connections", Double(workload.connections))
        object.add("threads", Double(workload.threads))
        object.add("seed", text: "\(workload.seed)")
    }

    func addFigures(to object: inout JSONObject) {
        let measured = result.measured
        if workload.exchanges {
            object.add("request_bytes", Double(workload.requestSize))
            object.add("response_bytes", Double(workload.responseSize))
            if let rate = workload.rate { object.add("asked_per_s", rate) }
            object.add("answers", Double(measured.answers))
            if seconds > 0 { object.add("answers_per_s", Double(measured.answers) / seconds) }
        }
        object.add("bytes_up", Double(measured.bytesUp))
        object.add("bytes_down", Double(measured.bytesDown))
        if seconds > 0 {
            object.add("up_bytes_per_s", Double(measured.bytesUp) / seconds)
            object.add("down_bytes_per_s", Double(measured.bytesDown) / seconds)
        }
        if workload.exchanges { object.add("latency_ns", object: latencyObject) }
        object.add("connected", Double(result.connected))
        object.add("verified", Double(result.verified))
        var errors = JSONObject()
        for kind in TroubleKind.allCases { errors.add(kind.key, Double(result.troubles[kind])) }
        errors.add("unanswered", Double(result.unanswered))
        object.add("errors", object: errors)
        object.add("error_lines", strings: result.troubles.described)
    }

    private var latencyObject: JSONObject {
        var object = JSONObject()
        object.add("count", Double(result.latencies.count))
        if let mean = result.latencies.mean { object.add("mean", mean) }
        for percent in Self.percentiles {
            if let value = result.latencies.percentile(percent) {
                object.add("p\(Self.name(percent))", Double(value))
            }
        }
        if let longest = result.latencies.longest { object.add("longest", Double(longest)) }
        return object
    }
}
