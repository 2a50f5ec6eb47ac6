/// `culvert status` without names: a line a tunnel.
enum StatusTable {
    private static let heads = [
        "TUNNEL", "STATE", "SINCE", "LINKS", "FORWARDS", "CONNS", "HELD", "OUT", "IN", "RTT", "DESTINATION",
    ]
    /// Aligned at their right: numbers.
    private static let numbers: Set<Int> = [3, 4, 5, 6, 7, 8, 9]

    static func lines(_ tunnels: [TunnelDocument]) -> [String] {
        let rows = [heads] + tunnels.map(cells)
        let widths = heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { row in line(row, widths) }
        // Under each, what is wrong; from behind, so that places stay.
        for (place, tunnel) in tunnels.enumerated().reversed() {
            lines.insert(contentsOf: troubles(of: tunnel).map { "  \($0)" }, at: place + 2)
        }
        return lines
    }

    private static func line(_ row: [String], _ widths: [Int]) -> String {
        var line = ""
        for (column, text) in row.enumerated() {
            let blanks = String(repeating: " ", count: widths[column] - text.count)
            line += numbers.contains(column) ? blanks + text : column == row.count - 1 ? text : text + blanks
            if column < row.count - 1 { line += "  " }
        }
        return line
    }

    private static func cells(_ tunnel: TunnelDocument) -> [String] {
        let standing = tunnel.links.count { $0.state == "up" }
        let roundTrips = tunnel.links.compactMap(\.roundTripSeconds)
        return [
            tunnel.name, tunnel.state, tunnel.sinceSeconds.map(StatusWords.age) ?? "-",
            "\(standing)/\(tunnel.links.count)",
            "\(tunnel.forwards.count(where: \.isStanding))/\(tunnel.forwards.count)", "\(tunnel.connections)",
            "\(tunnel.held)", StatusWords.size(tunnel.sent), StatusWords.size(tunnel.received),
            roundTrips.max().map(StatusWords.length) ?? "-", tunnel.destination,
        ]
    }

    /// Of what does not stand: each kind once.
    static func troubles(of tunnel: TunnelDocument) -> [String] {
        var said: [String] = []
        for link in tunnel.links where link.state != "up" {
            guard let text = StatusWords.trouble(of: link) else { continue }
            let line = tunnel.links.count > 1 ? "\(link.name): \(text)" : text
            if !said.contains(line) { said.append(line) }
        }
        for forward in tunnel.forwards where !forward.isStanding {
            if let reason = forward.reason { said.append("\(forward.text): \(reason)") }
        }
        if tunnel.state == "silent" { said.append("it does not say anything") }
        return said
    }
}

/// Numbers as a person reads them.
enum StatusWords {
    /// "3d 4h", "2m 3s", "12s".
    static func age(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "-" }
        let whole = Int(max(0, seconds))
        let parts = [(whole / 86400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        let first = parts.firstIndex { $0.0 > 0 } ?? 3
        return parts[first...].prefix(2).filter { $0.0 > 0 || first == 3 }.map { "\($0.0)\($0.1)" }.joined(
            separator: " ")
    }

    /// "1.2 GiB".
    static func size(_ bytes: UInt64) -> String { size(Double(bytes)) }

    static func size(_ bytes: Double) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var (rest, unit) = (bytes, 0)
        while rest >= 1000, unit < units.count - 1 {
            rest /= 1024
            unit += 1
        }
        guard rest.isFinite else { return "-" }
        return unit == 0 ? "\(Int(rest)) B" : "\(rounded(rest)) \(units[unit])"
    }

    /// "12 ms", "0.25 ms", "1.2 s".
    static func length(_ seconds: Double) -> String {
        seconds < 1 ? "\(rounded(seconds * 1000)) ms" : "\(rounded(seconds)) s"
    }

    /// Two digits that matter, and never an exponent.
    private static func rounded(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        if value >= 9.95 { return "\(Int((value).rounded()))" }
        let steps = value >= 0.995 ? 10.0 : 100.0
        let scaled = Int((value * steps).rounded())
        let (whole, part) = scaled.quotientAndRemainder(dividingBy: Int(steps))
        let digits = String(part)
        return part == 0 ? "\(whole)" : "\(whole).\(steps == 100 && part < 10 ? "0" : "")\(digits)"
    }

    /// Why a place has no link, and when the next one is tried.
    static func trouble(of link: LinkDocument) -> String? {
        var parts: [String] = []
        if let failure = link.lastFailure { parts.append("\(failure.text) (\(age(failure.ageSeconds)) ago)") }
        if let attempts = link.failedAttempts, attempts > 0 {
            parts.append(attempts == 1 ? "1 attempt failed" : "\(attempts) attempts failed")
        }
        switch link.state {
        case "waiting": if let next = link.nextAttemptSeconds { parts.append("next in \(age(next.rounded(.up)))") }
        case "connecting": parts.append("connecting")
        case "silent": parts.append("the server is silent")
        case "dormant": parts.append("made when a connection comes")
        default: break
        }
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }
}
