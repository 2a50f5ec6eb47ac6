internal import CulvertIO

/// `culvert status NAME`: one tunnel with all that it has.
struct StatusDetail {
    private let tunnel: TunnelDocument
    private let programs: LocalPrograms
    private let rates: Rates?

    init(_ tunnel: TunnelDocument, _ programs: LocalPrograms, _ rates: Rates?) {
        self.tunnel = tunnel
        self.programs = programs
        self.rates = rates
    }

    var lines: [String] {
        var lines = [head]
        for link in tunnel.links { lines += self.lines(of: link) }
        for link in tunnel.replacedLinks + tunnel.jumpHosts {
            lines.append("  \(link.name): \(link.state), \(numbers(of: link))")
        }
        for forward in tunnel.forwards { lines += self.lines(of: forward) }
        let rest = [
            (tunnel.held, "waiting for a link"), (tunnel.greeting, "not said where to go yet (SOCKS)"),
            (tunnel.delivering, "ended, their readers still reading"),
        ]
        for (count, words) in rest where count > 0 { lines.append("  \(count) connections: \(words)") }
        return lines
    }

    private var head: String {
        let since = tunnel.sinceSeconds.map { " for \(StatusWords.age($0))" } ?? ""
        let how = [tunnel.engine, tunnel.io, tunnel.workers.map { $0 == 1 ? "1 thread" : "\($0) threads" }].compactMap(
            \.self)
        return "\(tunnel.name): \(tunnel.state)\(since), \(tunnel.destination)"
            + (how.isEmpty ? "" : " (\(how.joined(separator: ", ")))")
    }

    private func lines(of link: LinkDocument) -> [String] {
        let age = link.ageSeconds.map { " \(StatusWords.age($0))" } ?? ""
        var lines = ["  \(link.name): \(link.state)\(age)\(link.sentBytes == nil ? "" : ", " + numbers(of: link))"]
        if link.state != "up", let trouble = StatusWords.trouble(of: link) { lines.append("    \(trouble)") }
        if let algorithms = link.algorithms { lines.append("    \(algorithms)") }
        if let connects = link.connects, connects > 1 { lines.append("    connected \(connects) times; was lost:") }
        for word in link.lost ?? [] { lines.append("    \(StatusWords.age(word.ageSeconds)) ago: \(word.text)") }
        return lines
    }

    private func numbers(of link: LinkDocument) -> String {
        var parts: [String] = []
        if let trip = link.roundTripSeconds { parts.append("round trip \(StatusWords.length(trip))") }
        if let heard = link.lastHeardSeconds { parts.append("last heard \(StatusWords.age(heard)) ago") }
        if let count = link.connections { parts.append("\(count) connections") }
        if let sent = link.sentBytes { parts.append("\(StatusWords.size(sent)) out") }
        if let received = link.receivedBytes { parts.append("\(StatusWords.size(received)) in") }
        if let renewals = link.keyRenewals, renewals > 0 { parts.append("\(renewals) key renewals") }
        return parts.joined(separator: ", ")
    }

    private func lines(of forward: ForwardDocument) -> [String] {
        let port = forward.port.map { " on port \($0)" } ?? ""
        let state = forward.isStanding ? "standing\(forward.kind == "stdio" ? "" : port)" : forward.state
        var counts = ["\(forward.connections) open", "\(forward.opened) served"]
        for (count, word) in [(forward.refused, "refused"), (forward.dropped, "dropped"), (forward.cut, "cut")]
        where count > 0 {
            counts.append("\(count) \(word)")
        }
        counts.append("\(StatusWords.size(forward.sentBytes)) out, \(StatusWords.size(forward.receivedBytes)) in")
        if let half = forward.openedInP50Seconds, let most = forward.openedInP99Seconds {
            counts.append("opened in \(StatusWords.length(half)) (p50), \(StatusWords.length(most)) (p99)")
        }
        var lines = [
            "  \(forward.text): \(state)\(forward.reason.map { ": \($0)" } ?? ""): \(counts.joined(separator: ", "))"
        ]
        for flow in forward.flows ?? [] { lines.append("    \(line(of: flow, forward))") }
        return lines
    }

    private func line(of flow: FlowDocument, _ forward: ForwardDocument) -> String {
        var parts = [flow.peer.isEmpty ? "(a peer without a name)" : flow.peer]
        // Of a reverse forward the peer is at the server.
        if forward.kind != "remote", let program = programs.program(of: flow.peer) { parts[0] += " \(program)" }
        if let target = flow.target { parts[0] += " to \(target)" }
        parts.append(StatusWords.age(flow.ageSeconds))
        parts.append("\(StatusWords.size(flow.sentBytes)) out, \(StatusWords.size(flow.receivedBytes)) in")
        if let rate = rates?.rate(of: flow, tunnel, forward) {
            parts.append("\(StatusWords.size(rate.out))/s out, \(StatusWords.size(rate.in))/s in")
        }
        if flow.heldBytes > 0 { parts.append("\(StatusWords.size(UInt64(max(0, flow.heldBytes)))) held") }
        parts.append(Self.words[flow.state] ?? flow.state)
        return parts.joined(separator: ", ")
    }

    private static let words = [
        "opening": "waits for the server's answer", "greeting": "waits for its client's word where to go",
        "dialling": "waits for its target", "open": "idle or moving", "far-reader": "waits for the far reader",
        "local-reader": "waits for the reader here", "ended": "ending",
    ]
}

/// What was there at one moment.
struct Sample {
    let processes: [ProcessDocument]
    let at: Tick
}

/// What changed between two samples, a second.
struct Rates {
    struct Name: Hashable {
        let tunnel: String
        let forward: String
        let peer: String
    }

    private let before: [Name: FlowDocument]
    private let seconds: Double

    init(from before: Sample, to now: Sample) {
        var known: [Name: FlowDocument] = [:]
        for tunnel in before.processes.flatMap(\.tunnels) {
            for forward in tunnel.forwards {
                for flow in forward.flows ?? [] {
                    known[Name(tunnel: tunnel.name, forward: forward.text, peer: flow.peer)] = flow
                }
            }
        }
        self.before = known
        seconds = max(0.001, (now.at - before.at).seconds)
    }

    /// Bytes a second; nil: it was not there before.
    func rate(of flow: FlowDocument, _ tunnel: TunnelDocument, _ forward: ForwardDocument) -> (out: Double, in: Double)?
    {
        let name = Name(tunnel: tunnel.name, forward: forward.text, peer: flow.peer)
        // Of another connection that had the same address before, there is nothing to be said.
        guard let old = before[name], old.sentBytes <= flow.sentBytes, old.receivedBytes <= flow.receivedBytes else {
            return nil
        }
        return (
            Double(flow.sentBytes - old.sentBytes) / seconds, Double(flow.receivedBytes - old.receivedBytes) / seconds
        )
    }
}
