internal import CulvertIO
internal import Glibc

/// Payload of relayed connections, and how their directions end: the law is the tunnels' (`StreamEnds`).
extension PlainWorker where Driver: ~Copyable {
    /// Full reads of one flow before others have their turn: 1 MiB.
    private static var readsInTurn: Int { 4 }

    private static func readToken(_ flow: PlainFlowID, _ end: Int) -> Token {
        Token(end == 0 ? .clientRead : .targetRead, flow)
    }

    /// Mutating, though it changes nothing: a borrowed worker would be copied to the stack at each call.
    mutating func descriptor(_ flow: PlainFlowID, _ end: Int) -> Descriptor {
        guard let descriptor = flows[flow].ends[end].descriptor else {
            preconditionFailure("an open flow has two sockets")
        }
        return descriptor
    }

    /// The end is read on, when what came from it is written.
    mutating func awaitMore(_ flow: PlainFlowID, _ end: Int) {
        guard flows[flow].ends[end].source == .sending else { return }
        driver.receive(descriptor(flow, end), Self.readToken(flow, end))
    }

    mutating func readable(_ flow: PlainFlowID, end: Int, _ completion: Completion) {
        guard completion.result > 0 else { return sourceStopped(flow, end, completion.result) }
        let start = unsafe UnsafeMutableRawPointer(mutating: completion.slot.start!)
        let source = descriptor(flow, end)
        let sink = descriptor(flow, 1 - end)
        let isDropped = flows[flow].ends[1 - end].sink == .failed
        var count = completion.result
        var reads = 1
        while true {
            flows[flow].ends[end].bytes &+= UInt64(count)
            let sent = isDropped ? count : unsafe driver.send(sink, start, count: count)
            guard sent == count else {
                if sent >= 0 || sent == -Int(EAGAIN) {
                    return keep(flow, for: 1 - end, completion.slot, from: max(0, sent), count: count)
                }
                driver.release(completion.slot)
                sinkFailed(flow, 1 - end)
                if flows[flow].ending == nil { awaitMore(flow, end) }
                return
            }
            // A full read means that more is there: it is taken without waiting for another wake.
            guard count == LentSlot.largeLength, reads < Self.readsInTurn else { break }
            reads += 1
            let next = unsafe driver.receive(
                source, into: start, stride: count, slotLength: count, lastLength: count, count: 1)
            if next == -Int(EAGAIN) { break }
            guard next > 0 else {
                driver.release(completion.slot)
                return sourceStopped(flow, end, next)
            }
            count = next
        }
        driver.release(completion.slot)
        awaitMore(flow, end)
    }

    /// The sink is full: what is left stays in the slot where the driver can spare it, or moves into the spill.
    private mutating func keep(_ flow: PlainFlowID, for end: Int, _ lent: LentSlot, from offset: Int, count: Int) {
        flows[flow].stalledSince = driver.now
        if driver.mayKeep(lent) {
            flows[flow].ends[end].kept = lent
            flows[flow].ends[end].keptOffset = offset
            flows[flow].ends[end].keptCount = count - offset
        } else {
            let start = unsafe lent.start! + offset
            let fits = unsafe spillPool.append(start, count - offset, to: &flows[flow].ends[end].spill)
            driver.release(lent)
            guard fits else { return exceedCeiling(flow) }
        }
        awaitWritable(flow, end)
        startSweeping()
    }

    private mutating func awaitWritable(_ flow: PlainFlowID, _ end: Int) {
        guard !flows[flow].ends[end].awaitsWritable else { return }
        flows[flow].ends[end].awaitsWritable = true
        driver.awaitWritable(descriptor(flow, end), Token(end == 0 ? .clientWrite : .targetWrite, flow))
    }

    mutating func writable(_ flow: PlainFlowID, end: Int) {
        flows[flow].ends[end].awaitsWritable = false
        // What was owed may have been dropped meanwhile.
        guard flows[flow].ends[end].sink == .open else { return }
        guard writeKept(flow, end), writeSpill(flow, end) else { return sinkFailed(flow, end) }
        guard flows[flow].ends[end].owesNothing else { return awaitWritable(flow, end) }
        if flows[flow].ends[1 - end].source == .finished { return passEnd(flow, from: 1 - end) }
        awaitMore(flow, 1 - end)
    }

    /// Returns false when the socket has failed.
    private mutating func writeKept(_ flow: PlainFlowID, _ end: Int) -> Bool {
        let kept = flows[flow].ends[end]
        guard kept.keptCount > 0 else { return true }
        let sent = unsafe driver.send(descriptor(flow, end), kept.kept.start! + kept.keptOffset, count: kept.keptCount)
        guard sent >= 0 || sent == -Int(EAGAIN) else { return false }
        flows[flow].ends[end].keptOffset += max(0, sent)
        flows[flow].ends[end].keptCount -= max(0, sent)
        if flows[flow].ends[end].keptCount == 0 {
            driver.release(kept.kept)
            flows[flow].ends[end].kept = .none
        }
        return true
    }

    /// Returns false when the socket has failed.
    private mutating func writeSpill(_ flow: PlainFlowID, _ end: Int) -> Bool {
        while flows[flow].ends[end].keptCount == 0, !flows[flow].ends[end].spill.isEmpty {
            let first = spillPool.first(of: flows[flow].ends[end].spill)
            let sent = unsafe driver.send(descriptor(flow, end), first.start, count: first.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return false }
            if sent > 0 { spillPool.consume(sent, of: &flows[flow].ends[end].spill) }
            if sent < first.count { break }
        }
        return true
    }

    // MARK: Ends

    /// The end of a stream (0), or its failure.
    private mutating func sourceStopped(_ flow: PlainFlowID, _ end: Int, _ result: Int) {
        flows[flow].ends[end].source = result < 0 ? .failed : .finished
        // One whose sink has failed was read to its end by now; another one that fails has nothing more either.
        if result < 0 || flows[flow].ends[end].sink == .failed {
            return self.end(flow, .resets(survivor: 1 - end))
        }
        startSweeping()
        passEnd(flow, from: end)
    }

    /// The stream of `end` is over: once everything from it is written, the other side learns it.
    private mutating func passEnd(_ flow: PlainFlowID, from end: Int) {
        let other = 1 - end
        guard flows[flow].ends[other].owesNothing, flows[flow].ends[other].sink == .open else { return }
        driver.shutdownWriting(descriptor(flow, other))
        flows[flow].ends[other].sink = .shut
        if flows[flow].ends[end].sink == .shut { self.end(flow, .whole) }
    }

    /// A send has failed. That ends one direction: what the socket still holds is read to its end first. What is for it is
    /// dropped.
    mutating func sinkFailed(_ flow: PlainFlowID, _ end: Int) {
        flows[flow].ends[end].sink = .failed
        let other = 1 - end
        let wasOwed = !flows[flow].ends[end].owesNothing
        spillPool.removeAll(&flows[flow].ends[end].spill)
        if !flows[flow].ends[end].kept.isNone {
            driver.release(flows[flow].ends[end].kept)
            flows[flow].ends[end].kept = .none
            flows[flow].ends[end].keptCount = 0
        }
        guard flows[flow].ends[end].source == .sending else { return self.end(flow, .resets(survivor: other)) }
        // Nothing else would read the other one on: it waited for this one to be written to.
        if wasOwed { awaitMore(flow, other) }
        noteRest(flow, end)
    }

    private mutating func noteRest(_ flow: PlainFlowID, _ end: Int) {
        flows[flow].ends[end].restSeen = flows[flow].ends[end].bytes
        flows[flow].ends[end].owedSeen = owed(flow, 1 - end)
        timers.add(driver.now + context.limits.rest, Token(.restCheck, flow))
    }

    /// What that end has not taken yet, here and in the kernel, bytes.
    private mutating func owed(_ flow: PlainFlowID, _ end: Int) -> Int {
        flows[flow].ends[end].keptCount + flows[flow].ends[end].spill.count
            + driver.unacknowledged(descriptor(flow, end))
    }

    /// A socket has failed, and of what it still holds nothing was taken for too long.
    mutating func checkRest(_ flow: PlainFlowID) {
        for end in 0...1 where flows[flow].ends[end].sink == .failed {
            let isTaken =
                flows[flow].ends[end].bytes != flows[flow].ends[end].restSeen
                || owed(flow, 1 - end) < flows[flow].ends[end].owedSeen
            guard isTaken else { return self.end(flow, .resets(survivor: 1 - end)) }
            noteRest(flow, end)
        }
    }

    // MARK: Looked at twice a second

    mutating func sweep() {
        isSweeping = false
        var anyStalled = !deliveries.isEmpty
        var next = flows.first()
        while let flow = next {
            next = flows.next(after: flow)
            if flows[flow].isOpen, sweep(flow) { anyStalled = true }
        }
        publishHeld()
        if anyStalled { startSweeping() }
    }

    /// A side that is not read, because the other is full or its own stream has ended, could be reset unseen.
    private mutating func sweep(_ flow: PlainFlowID) -> Bool {
        var isStalled = false
        for end in 0...1 {
            let isUnread = !flows[flow].ends[1 - end].owesNothing || flows[flow].ends[end].source == .finished
            guard isUnread, flows[flow].ending == nil else { continue }
            isStalled = true
            let isNews = flows[flow].ends[end].sink != .failed
            if isNews, driver.isReset(descriptor(flow, end)) { sinkFailed(flow, end) }
        }
        return isStalled
    }
}
