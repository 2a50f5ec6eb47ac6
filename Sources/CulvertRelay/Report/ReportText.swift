internal import CulvertIO
internal import CulvertPlan

/// Reports as lines for a person: what SIGUSR1 prints.
enum ReportText {
    static func lines(of report: TunnelReport) -> [String] {
        var lines = ["snapshot of \(report.destination) (\(report.driver.rawValue), \(report.workers) workers):"]
        for (number, place) in report.places.enumerated() where place.age == nil {
            lines.append("link \(number): down\(place.failure.map { ": \($0.text)" } ?? "")")
        }
        lines += report.links.map(line)
        for forward in report.forwards {
            lines.append("forward \(forward.text): \(state(of: forward))\(counts(of: forward.tally))")
            lines += forward.flows.map { line(of: $0, forward.text) }
        }
        lines += report.hops.map { line(of: $0, "to the next host") }
        return lines + rest(report.greetings, report.deliveries, report.held)
    }

    static func line(of link: LinkReport) -> String {
        "\(link.name): up \(formatSeconds(link.age)), \(link.flows) flows, \(link.sent) bytes out, \(link.received) in,"
            + " last heard \(formatSeconds(link.silence)) ago"
            + (link.keyRenewals.map { ", \($0) key renewals" } ?? "") + (link.isSuspect ? ", suspect" : "")
    }

    static func line(of listener: ListenerReport, _ forwards: [LocalForward]) -> String {
        "forward \(forwards[listener.forward].text): \(listener.isPaused ? "paused" : "listening")"
    }

    static func line(of flow: FlowReport, _ forward: String) -> String {
        let way = flow.target.map { "\(forward) to \($0)" } ?? forward
        return
            "flow \(way) from \(flow.peer): \(flow.sent) bytes out, \(flow.received) in, \(flow.held) held, waits for"
            + " \(text(of: flow.state))"
    }

    /// Of what has no lines of its own.
    static func rest(_ greetings: Int, _ deliveries: Int, _ held: Int) -> [String] {
        var lines: [String] = []
        if greetings > 0 { lines.append("\(greetings) SOCKS clients have not said where to go") }
        if deliveries > 0 { lines.append("\(deliveries) ended connections wait for their readers") }
        if held > 0 { lines.append("\(held) connections wait for a link") }
        return lines
    }

    static func text(of state: FlowReport.State) -> String {
        switch state {
        case .opening: "the server's answer"
        case .greeting: "the client's word where to go"
        case .dialling: "the target"
        case .ended: "its end"
        case .farReader: "the far reader (channel window used up)"
        case .localReader: "the local reader (socket full)"
        case .open: "nothing (idle or moving)"
        }
    }

    private static func state(of forward: ForwardReport) -> String {
        switch (forward.state, forward.kind) {
        case (.standing(let port?), .remote): "the server listens on port \(port)"
        case (.standing(nil), .remote): "the server listens"
        case (.standing, .stdio): "standard input and output"
        case (.standing, .local), (.standing, .dynamic): "listening"
        case (.paused, _): "paused"
        case (.failed(let reason), .remote): "refused, asking again: \(reason)"
        case (.failed(let reason), _): "not listening, trying again: \(reason)"
        case (.waiting, _): "waits for its link"
        }
    }

    private static func counts(of tally: ForwardTally) -> String {
        let parts = [(tally.opened, "served"), (tally.refused, "refused"), (tally.dropped, "dropped")]
        let told = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return told.isEmpty ? "" : " (\(told.joined(separator: ", ")))"
    }
}

func formatSeconds(_ span: Tick.Span) -> String {
    let tenths = Int(span.seconds * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10) s"
}
