internal import CulvertIO
internal import CulvertSSH

/// What a worker has, for a person: answered to SIGUSR1.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    func report() -> String {
        var lines: [String] = []
        var link = links.first()
        while let id = link {
            link = links.next(after: id)
            let age = formatSeconds(driver.now - links[id].since)
            let silence = formatSeconds(driver.now - links[id].liveness.lastHeard)
            lines.append(
                "\(links[id].name): up \(age), \(links[id].flowCount) flows,"
                    + " \(links[id].bytesSent) bytes out, \(links[id].bytesReceived) in, last heard \(silence) ago"
                    + (links[id].engine.keyRenewals.map { ", \($0) key renewals" } ?? "")
                    + (links[id].liveness.isSuspect ? ", suspect" : ""))
        }
        lines += listeners.report(directForwards)
        var flow = flows.first()
        while let id = flow {
            flow = flows.next(after: id)
            lines.append(
                "flow \(flowText(id)): \(flows[id].sent) bytes out,"
                    + " \(flows[id].received) in, \(flows[id].spill.count) held, waits for"
                    + " \(flows[id].stall)")
        }
        if greetings.count > 0 { lines.append("\(greetings.count) SOCKS clients have not said where to go") }
        if !deliveries.isEmpty { lines.append("\(deliveries.count) ended connections wait for their readers") }
        if !held.isEmpty { lines.append("\(held.count) connections wait for a link") }
        return lines.joined(separator: "\n")
    }
}

func formatSeconds(_ span: Tick.Span) -> String {
    let tenths = Int(span.seconds * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10) s"
}
