internal import CulvertIO
internal import CulvertSSH

/// What a worker has, for a person: answered to SIGUSR1.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    func snapshot() -> String {
        var lines: [String] = []
        for slot in 0..<links.highWater where links.isUsed(slot) {
            let age = formatSeconds(driver.now - links[slot].since)
            let silence = formatSeconds(driver.now - links[slot].lastReceived)
            lines.append(
                "\(links[slot].name): up \(age), \(links[slot].flowCount) flows,"
                    + " \(links[slot].bytesSent) bytes out, \(links[slot].bytesReceived) in, last heard \(silence) ago"
                    + (links[slot].engine.keyRenewals.map { ", \($0) key renewals" } ?? "")
                    + (links[slot].isSuspect ? ", suspect" : ""))
        }
        for slot in 0..<listeners.highWater where listeners.isUsed(slot) {
            let state = listeners[slot].isPaused ? "paused" : "listening"
            lines.append("forward \(context.forwards[listeners[slot].forward].text): \(state)")
        }
        for slot in 0..<tunnelFlows.highWater where tunnelFlows.isUsed(slot) {
            lines.append(
                "flow \(flowText(slot)): \(tunnelFlows[slot].sent) bytes out,"
                    + " \(tunnelFlows[slot].received) in, \(tunnelFlows[slot].spill.count) held, waits for"
                    + " \(tunnelFlows[slot].stall)")
        }
        for slot in 0..<plainFlows.highWater where plainFlows.isUsed(slot) {
            let slow = (0...1).filter { !plainFlows[slot].ends[$0].owesNothing }
            let stall =
                !plainFlows[slot].isOpen
                ? "the target" : slow.isEmpty ? "nothing (idle or moving)" : slow == [0] ? "the client" : "the target"
            lines.append(
                "flow \(context.forwards[plainFlows[slot].forward].text) from \(plainFlows[slot].peer):"
                    + " \(plainFlows[slot].ends[0].bytes) bytes out, \(plainFlows[slot].ends[1].bytes) in, waits for"
                    + " \(stall)")
        }
        if greetings.count > 0 { lines.append("\(greetings.count) SOCKS clients have not said where to go") }
        if !waiting.isEmpty { lines.append("\(waiting.count) connections wait for a link") }
        return lines.joined(separator: "\n")
    }
}
