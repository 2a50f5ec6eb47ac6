internal import CulvertIO
internal import CulvertSSH

/// When the keys of a link are exchanged again because of their age, and how long an exchange may take: an engine has no
/// clock.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func exchangeOldKeys(_ slot: Int) {
        guard let interval = links[slot].alive.rekeyInterval else { return }
        if driver.now - links[slot].keysSince >= interval {
            links[slot].keysSince = driver.now
            links[slot].engine.beginKeyExchange()
            links[slot].needsPump = true
            watchExchange(slot)
        }
        scheduleCheck(slot, at: links[slot].keysSince + interval)
    }

    /// A key exchange may have begun or ended.
    mutating func watchExchange(_ slot: Int) {
        let exchange = links[slot].engine.keyExchange
        guard exchange != links[slot].exchange else { return }
        links[slot].exchange = exchange
        guard exchange != nil else { return }
        links[slot].exchangeSince = driver.now
        links[slot].exchangeHeard = links[slot].bytesReceived
        scheduleCheck(slot, at: driver.now + context.limits.keyExchange)
    }

    /// A server that says so much while a key exchange takes its time is still sending what stood in line before its
    /// part of it, over a slow path: the windows and the engine's own limit bound that. Bytes.
    private static var exchangeProgress: UInt64 { 16 * 1024 }

    /// Ends the link when its key exchange has taken too long. Returns whether it did.
    mutating func endOverdueExchange(_ slot: Int) -> Bool {
        guard links[slot].exchange != nil else { return false }
        let deadline = links[slot].exchangeSince + context.limits.keyExchange
        guard driver.now >= deadline else {
            scheduleCheck(slot, at: deadline)
            return false
        }
        let heard = links[slot].bytesReceived
        guard heard - links[slot].exchangeHeard < Self.exchangeProgress else {
            links[slot].exchangeHeard = heard
            links[slot].exchangeSince = driver.now
            scheduleCheck(slot, at: driver.now + context.limits.keyExchange)
            return false
        }
        let patience = formatSeconds(context.limits.keyExchange)
        endLink(slot, "the server did not finish a key exchange within \(patience)")
        return true
    }
}
