internal import CulvertIO

/// What a run has found, for people and for programs.
struct Report {
    static let percentiles: [Double] = [50, 75, 90, 99, 99.9, 99.99]

    let command: String
    let workload: Workload
    let outcome: LoadRun.Outcome

    private var result: ThreadResult { outcome.result }
    private var seconds: Double { result.elapsed.seconds }

    var hasTrouble: Bool { result.troubles.total > 0 || result.unanswered > 0 || result.connected == 0 }

    private var payload: UInt64 { result.measured.bytesUp + result.measured.bytesDown }

    // MARK: For people

    var table: String {
        var rows: [(String, String)] = []
        let connections = workload.connections == 1 ? "1 connection" : "\(workload.connections) connections"
        let threads = workload.threads == 1 ? "1 thread" : "\(workload.threads) threads"
        rows.append(("workload", "\(command), \(connections), \(threads), seed \(workload.seed)"))
        rows.append(
            ("measured", "\(Amounts.decimal(seconds, 2)) s after \(Amounts.text(workload.warmup)) of warming up"))
        if workload.connectsFirst {
            rows.append(("connected in", Amounts.latency(Double(outcome.connecting.nanoseconds))))
        }
        if seconds > 0 { rows += figures }
        rows.append(("verified", "\(result.verified) of \(result.connected) connections to their last byte, both ways"))
        rows += watched
        rows.append(("errors", errors))
        let width = rows.map(\.0.count).max() ?? 0
        var lines = rows.map { name, value in
            name + String(repeating: " ", count: width - name.count + 2) + value
        }
        for words in result.troubles.described { lines.append("  " + words) }
        let more = result.troubles.total - result.troubles.described.count
        if more > 0 { lines.append("  and \(more) more") }
        if outcome.wasInterrupted { lines.append("interrupted before its time") }
        return lines.joined(separator: "\n")
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

    private var watched: [(String, String)] {
        outcome.watched.map { each in
            let name = "pid \(each.process.identifier)"
            guard let start = each.start, let end = each.end else {
                return (name, "\(each.process.name): ended before the measured time was over")
            }
            let used = end.processorSeconds - start.processorSeconds
            var words = "\(each.process.name): \(Amounts.decimal(used, 2)) CPU s"
            // A few bytes a request make a figure a GB that says nothing.
            if payload > 0 && !workload.exchanges {
                words += ", \(Amounts.decimal(used / (Double(payload) / 1e9), 3)) CPU s a GB"
            }
            if result.measured.answers > 0 {
                words += ", \(Amounts.decimal(used / Double(result.measured.answers) * 1e6, 2)) CPU µs an answer"
            }
            if let before = each.before, let connected = each.connected, workload.connectsFirst {
                words += ", memory \(Amounts.memory(before.bytes)) before and \(Amounts.memory(connected.bytes))"
                words += " with the connections"
            }
            return (name, words)
        }
    }

    private var errors: String {
        var words = TroubleKind.allCases.compactMap { kind in
            result.troubles[kind] > 0 ? "\(result.troubles[kind]) \(kind.rawValue)" : nil
        }
        if result.unanswered > 0 { words.append("\(result.unanswered) requests unanswered") }
        if words.isEmpty { return result.connected == 0 ? "no connection was made" : "none" }
        return words.joined(separator: ", ")
    }

    private static func name(_ percent: Double) -> String {
        percent == percent.rounded() ? "\(Int(percent))" : "\(percent)"
    }

    // MARK: For programs

    /// One JSON object. Times are in seconds but for latencies, which are in nanoseconds.
    var json: String {
        let measured = result.measured
        var object = JSONObject()
        object.add("command", command)
        object.add("connections", Double(workload.connections))
        object.add("threads", Double(workload.threads))
        object.add("seed", text: "\(workload.seed)")
        object.add("driver", outcome.driver.rawValue)
        object.add("warmup_s", workload.warmup.seconds)
        object.add("measured_s", seconds)
        if workload.connectsFirst { object.add("connecting_s", outcome.connecting.seconds) }
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
        object.add("watched", objects: outcome.watched.map(watchedObject))
        object.add("interrupted", text: outcome.wasInterrupted ? "true" : "false")
        return object.text
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

    private func watchedObject(_ each: LoadRun.WatchedFigures) -> JSONObject {
        var object = JSONObject()
        object.add("pid", Double(each.process.identifier))
        object.add("name", each.process.name)
        if let start = each.start, let end = each.end {
            let used = end.processorSeconds - start.processorSeconds
            object.add("cpu_s", used)
            if payload > 0 { object.add("cpu_s_per_gb", used / (Double(payload) / 1e9)) }
            if result.measured.answers > 0 {
                object.add("cpu_s_per_answer", used / Double(result.measured.answers))
            }
        }
        if let before = each.before { object.add("memory_bytes_before", Double(before.bytes)) }
        if let connected = each.connected { object.add("memory_bytes_connected", Double(connected.bytes)) }
        return object
    }
}

/// A JSON object as it is written, its members in the order in which they came.
struct JSONObject {
    private var members: [String] = []

    var text: String { "{" + members.joined(separator: ", ") + "}" }

    mutating func add(_ name: String, text: String) { members.append("\(Self.quoted(name)): \(text)") }
    mutating func add(_ name: String, _ value: String) { add(name, text: Self.quoted(value)) }
    mutating func add(_ name: String, object: JSONObject) { add(name, text: object.text) }
    mutating func add(_ name: String, objects: [JSONObject]) {
        add(name, text: "[" + objects.map(\.text).joined(separator: ", ") + "]")
    }
    mutating func add(_ name: String, strings: [String]) {
        add(name, text: "[" + strings.map(Self.quoted).joined(separator: ", ") + "]")
    }
    /// Whole numbers without a point.
    mutating func add(_ name: String, _ value: Double) {
        precondition(value.isFinite, "JSON has finite numbers only")
        let isWhole = value == value.rounded() && abs(value) < 9e15
        add(name, text: isWhole ? "\(Int64(value))" : "\(value)")
    }

    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
