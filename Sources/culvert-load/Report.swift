internal import CulvertIO

/// What a run has found, for people and for programs: of a mix part by part.
struct Report {
    let outcome: LoadRun.Outcome
    let isMix: Bool

    private var parts: [PartReport] { outcome.parts.map { PartReport(outcome: $0) } }
    private var workload: Workload { outcome.parts[0].part.workload }
    private var connectsFirst: Bool { outcome.parts.contains { $0.part.workload.connectsFirst } }

    var hasTrouble: Bool { parts.contains { $0.hasTrouble } }

    /// Of all parts together.
    private var measured: Figures { outcome.parts.reduce(Figures()) { $0 + $1.result.measured } }
    private var payload: UInt64 { measured.bytesUp + measured.bytesDown }
    private var exchanges: Bool { outcome.parts.allSatisfy { $0.part.workload.exchanges } }
    private var processorSeconds: Double { outcome.parts.reduce(0) { $0 + $1.result.processorSeconds } }
    private var busiest: Double { outcome.parts.map(\.result.busiest).max() ?? 0 }

    // MARK: For people

    var table: String {
        var lines: [String] = []
        if isMix {
            for (number, part) in parts.enumerated() {
                lines += Self.lines(part.heading(number + 1) + part.rows + part.errorRows) + part.details + [""]
            }
            lines += Self.lines(connecting + generator + watched)
        } else {
            let part = parts[0]
            lines = Self.lines(part.heading(nil) + connecting + part.rows + generator + watched + part.errorRows)
            lines += part.details
        }
        if outcome.wasInterrupted { lines.append("interrupted before its time") }
        return lines.joined(separator: "\n")
    }

    private static func lines(_ rows: [(String, String)]) -> [String] {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { name, value in name + String(repeating: " ", count: width - name.count + 2) + value }
    }

    private var connecting: [(String, String)] {
        connectsFirst ? [("connected in", Amounts.latency(Double(outcome.connecting.nanoseconds)))] : []
    }

    private var generator: [(String, String)] {
        guard processorSeconds > 0 else { return [] }
        var words = "this program: " + cost(processorSeconds)
        words += ", its busiest thread \(Amounts.decimal(busiest * 100, 0)) % of a processor"
        // What is measured may be the generator then, and not what it loads.
        if busiest > 0.9 { words += ": perhaps the limit" }
        return [("generator", words)]
    }

    private var watched: [(String, String)] {
        outcome.watched.map { each in
            let name = "pid \(each.process.identifier)"
            guard let start = each.start, let end = each.end else {
                return (name, "\(each.process.name): ended before the measured time was over")
            }
            var words = "\(each.process.name): " + cost(end.processorSeconds - start.processorSeconds)
            if let before = each.before, let connected = each.connected, connectsFirst {
                words += ", memory \(Amounts.memory(before.bytes)) before and \(Amounts.memory(connected.bytes))"
                words += " with the connections"
            }
            return (name, words)
        }
    }

    private func cost(_ used: Double) -> String {
        var words = "\(Amounts.decimal(used, 2)) CPU s"
        // A few bytes a request make a figure a GB that says nothing.
        if payload > 0 && !exchanges {
            words += ", \(Amounts.decimal(used / (Double(payload) / 1e9), 3)) CPU s a GB"
        }
        // Beside a stream, an answer's share says nothing.
        if measured.answers > 0 && exchanges {
            words += ", \(Amounts.decimal(used / Double(measured.answers) * 1e6, 2)) CPU µs an answer"
        }
        return words
    }

    // MARK: For programs

    /// One JSON object. Times are in seconds but for latencies, which are in nanoseconds.
    var json: String {
        var object = JSONObject()
        if isMix {
            object.add("command", "mix")
        } else {
            parts[0].addSettings(to: &object)
        }
        object.add("driver", outcome.driver.rawValue)
        object.add("warmup_s", workload.warmup.seconds)
        object.add("measured_s", outcome.parts.map(\.result.elapsed.seconds).max() ?? 0)
        if connectsFirst { object.add("connecting_s", outcome.connecting.seconds) }
        if isMix {
            object.add(
                "parts",
                objects: parts.map { part in
                    var each = JSONObject()
                    part.addSettings(to: &each)
                    each.add("measured_s", part.seconds)
                    part.addFigures(to: &each)
                    return each
                })
        } else {
            parts[0].addFigures(to: &object)
        }
        var generator = JSONObject()
        addCost(processorSeconds, to: &generator)
        generator.add("busiest_thread", busiest)
        object.add("generator", object: generator)
        object.add("watched", objects: outcome.watched.map(watchedObject))
        object.add("interrupted", flag: outcome.wasInterrupted)
        return object.text
    }

    private func addCost(_ used: Double, to object: inout JSONObject) {
        object.add("cpu_s", used)
        if payload > 0 { object.add("cpu_s_per_gb", used / (Double(payload) / 1e9)) }
        if measured.answers > 0 { object.add("cpu_s_per_answer", used / Double(measured.answers)) }
    }

    private func watchedObject(_ each: LoadRun.WatchedFigures) -> JSONObject {
        var object = JSONObject()
        object.add("pid", Double(each.process.identifier))
        object.add("name", each.process.name)
        if let start = each.start, let end = each.end {
            addCost(end.processorSeconds - start.processorSeconds, to: &object)
        }
        if let before = each.before { object.add("memory_bytes_before", Double(before.bytes)) }
        if let connected = each.connected { object.add("memory_bytes_connected", Double(connected.bytes)) }
        return object
    }
}
