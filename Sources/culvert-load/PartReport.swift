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
            var rate = "\(Amounts.decimal(Double(measured.answers) / seconds, 1)) a second"
            if let asked = workload.rate { rate += " of \(Amounts.decimal(asked, 1)) asked for" }
            rows.append((Self.exchanges(workload.kind), rate))
            if workload.kind == .vnc {
                rows.append(("updates", "\(Amounts.decimal(Double(measured.pieces) / seconds, 1)) a second"))
            }
        }
        if measured.bytesUp > 0 { rows.append(("up", Amounts.rate(Double(measured.bytesUp) / seconds))) }
        if measured.bytesDown > 0 { rows.append(("down", Amounts.rate(Double(measured.bytesDown) / seconds))) }
        rows += latencyRows("latency", result.latencies)
        rows += latencyRows("bulk latency", result.bulkLatencies)
        return rows
    }

    private func latencyRows(_ name: String, _ latencies: Latencies) -> [(String, String)] {
        guard latencies.count > 0 else { return [] }
        var from = workload.rate == nil ? "" : ", from when each was due"
        if workload.kind == .vnc { from += " to the end of its last update" }
        var rows = [(name, "of \(latencies.count)\(from)")]
        if let mean = latencies.mean { rows.append(("  mean", Amounts.latency(mean))) }
        for percent in Self.percentiles {
            if let value = latencies.percentile(percent) {
                rows.append(("  p\(Self.name(percent))", Amounts.latency(Double(value))))
            }
        }
        if let longest = latencies.longest { rows.append(("  longest", Amounts.latency(Double(longest)))) }
        return rows
    }

    private static func exchanges(_ kind: Workload.Kind) -> String {
        switch kind {
        case .stream, .request, .idle: "requests"
        case .churn: "connections"
        case .vnc: "events"
        case .database: "queries"
        }
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

    static func name(_ percent: Double) -> String {
        percent == percent.rounded() ? "\(Int(percent))" : "\(percent)"
    }

    // MARK: For programs

    func addSettings(to object: inout JSONObject) {
        object.add("command", command)
        object.add("connections", Double(workload.connections))
        object.add("threads", Double(workload.threads))
        object.add("seed", whole: workload.seed)
    }

    func addFigures(to object: inout JSONObject) {
        let measured = result.measured
        if workload.exchanges {
            let sizes = workload.sizes
            if sizes.requests.isFixed { object.add("request_bytes", Double(sizes.requests.low)) }
            if sizes.answers.isFixed { object.add("response_bytes", Double(sizes.answers.low)) }
            object.add("request_sizes", sizes.requests.description)
            object.add("response_sizes", sizes.answers.description)
            if let rate = workload.rate { object.add("asked_per_s", rate) }
            object.add("answers", Double(measured.answers))
            if seconds > 0 { object.add("answers_per_s", Double(measured.answers) / seconds) }
            if workload.kind == .vnc {
                object.add("updates", Double(measured.pieces))
                if seconds > 0 { object.add("updates_per_s", Double(measured.pieces) / seconds) }
            }
        }
        object.add("bytes_up", Double(measured.bytesUp))
        object.add("bytes_down", Double(measured.bytesDown))
        if seconds > 0 {
            object.add("up_bytes_per_s", Double(measured.bytesUp) / seconds)
            object.add("down_bytes_per_s", Double(measured.bytesDown) / seconds)
        }
        if workload.exchanges { object.add("latency_ns", object: Self.object(result.latencies)) }
        if workload.sizes.answers.bulkShare > 0 {
            object.add("bulk_response_bytes", Double(workload.sizes.answers.bulkSize))
            object.add("bulk_latency_ns", object: Self.object(result.bulkLatencies))
        }
        object.add("connected", Double(result.connected))
        object.add("verified", Double(result.verified))
        var errors = JSONObject()
        for kind in TroubleKind.allCases { errors.add(kind.key, Double(result.troubles[kind])) }
        errors.add("unanswered", Double(result.unanswered))
        object.add("errors", object: errors)
        object.add("error_lines", strings: result.troubles.described)
    }

    private static func object(_ latencies: Latencies) -> JSONObject {
        var object = JSONObject()
        object.add("count", Double(latencies.count))
        if let mean = latencies.mean { object.add("mean", mean) }
        for percent in percentiles {
            if let value = latencies.percentile(percent) {
                object.add("p\(name(percent))", Double(value))
            }
        }
        if let longest = latencies.longest { object.add("longest", Double(longest)) }
        return object
    }
}
