internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// Socket to socket, without SSH.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    private func readToken(_ slot: Int, _ end: Int) -> Token {
        Self.token(end == 0 ? .clientRead : .targetRead, slot, plainFlows.generation(slot))
    }

    private func writeToken(_ slot: Int, _ end: Int) -> Token {
        Self.token(end == 0 ? .clientWrite : .targetWrite, slot, plainFlows.generation(slot))
    }

    // MARK: Dialling

    mutating func beginPlainFlow(_ descriptor: Descriptor, forward: Int, peer: SocketAddress) {
        guard !plainFlows.isFull else { return driver.close(descriptor) }
        let slot = plainFlows.insert(
            PlainFlow(client: descriptor, forward: forward, peer: peer, started: driver.now))
        context.loads[number].flowBegan()
        guard let addresses = directTargets[forward].addresses(now: driver.now) else {
            directTargets[forward].waiting.append(readToken(slot, 0))
            return lookUpTarget(forward)
        }
        dialPlain(slot, addresses)
    }

    mutating func dialPlain(_ slot: Int, _ addresses: [SocketAddress]) {
        timers.add(
            driver.now + context.limits.dial, Self.token(.plainDialExpiry, slot, plainFlows.generation(slot)))
        plainFlows[slot].candidates = addresses
        dialNextPlain(slot, failure: EADDRNOTAVAIL)
    }

    private mutating func dialNextPlain(_ slot: Int, failure: Int32) {
        var failure = failure
        while !plainFlows[slot].candidates.isEmpty {
            let address = plainFlows[slot].candidates.removeFirst()
            var pending = false
            let made = driver.connect(to: address, from: nil, pending: &pending)
            guard made >= 0 else {
                failure = -Int32(made)
                continue
            }
            plainFlows[slot].ends[1].descriptor = Descriptor(made)
            if pending { driver.awaitWritable(Descriptor(made), writeToken(slot, 1)) } else { openPlain(slot) }
            return
        }
        context.journal.error(
            "\(context.forwards[plainFlows[slot].forward].text): connect to"
                + " \(context.forwards[plainFlows[slot].forward].target): \(errorText(failure))")
        endPlainFlow(slot, reset: true)
    }

    mutating func plainTargetUnresolved(_ slot: Int, _ failure: String) {
        context.journal.error("\(context.forwards[plainFlows[slot].forward].text): \(failure)")
        endPlainFlow(slot, reset: true)
    }

    mutating func plainDialExpired(_ slot: Int) {
        guard !plainFlows[slot].isOpen else { return }
        plainFlows[slot].candidates = []
        if plainFlows[slot].ends[1].descriptor >= 0 {
            driver.close(plainFlows[slot].ends[1].descriptor)
            plainFlows[slot].ends[1].descriptor = -1
        }
        dialNextPlain(slot, failure: ETIMEDOUT)
    }

    private mutating func openPlain(_ slot: Int) {
        plainFlows[slot].isOpen = true
        plainFlows[slot].candidates = []
        for end in 0...1 { driver.receive(plainFlows[slot].ends[end].descriptor, readToken(slot, end)) }
    }

    // MARK: Payload

    /// Full reads of one flow before others have their turn: 1 MiB.
    private static var readsInTurn: Int { 4 }

    mutating func plainRead(_ slot: Int, end: Int, _ completion: Completion) {
        guard completion.result > 0 else { return sourceStopped(slot, end, completion.result) }
        let start = unsafe UnsafeMutableRawPointer(mutating: completion.slot.start!)
        let source = plainFlows[slot].ends[end].descriptor
        let sink = plainFlows[slot].ends[1 - end].descriptor
        var count = completion.result
        var reads = 1
        while true {
            plainFlows[slot].ends[end].bytes &+= UInt64(count)
            let sent = unsafe driver.send(sink, start, count: count)
            guard sent == count else {
                if sent >= 0 || sent == -Int(EAGAIN) {
                    return keep(slot, for: 1 - end, completion.slot, from: max(0, sent), count: count)
                }
                driver.release(completion.slot)
                return endPlainFlow(slot, reset: true)
            }
            // A full read means that more is there: it is taken without waiting for another wake.
            guard count == LentSlot.largeLength, reads < Self.readsInTurn else { break }
            reads += 1
            let next = unsafe driver.receive(
                source, into: start, stride: count, slotLength: count, lastLength: count, count: 1)
            if next == -Int(EAGAIN) { break }
            guard next > 0 else {
                driver.release(completion.slot)
                return sourceStopped(slot, end, next)
            }
            count = next
        }
        driver.release(completion.slot)
        driver.receive(source, readToken(slot, end))
    }

    /// The end of a stream (0), or its failure.
    private mutating func sourceStopped(_ slot: Int, _ end: Int, _ result: Int) {
        if result < 0 { return endPlainFlow(slot, reset: true) }
        plainFlows[slot].ends[end].hasEnded = true
        startSweeping()
        passEnd(slot, from: end)
    }

    /// The sink is full: what is left stays in the slot where the driver can spare it, or moves into the spill.
    private mutating func keep(_ slot: Int, for end: Int, _ lent: LentSlot, from offset: Int, count: Int) {
        if driver.mayKeep(lent) {
            plainFlows[slot].ends[end].kept = lent
            plainFlows[slot].ends[end].keptOffset = offset
            plainFlows[slot].ends[end].keptCount = count - offset
        } else {
            let start = unsafe lent.start! + offset
            let fits = unsafe spillPool.append(start, count - offset, to: &plainFlows[slot].ends[end].spill)
            driver.release(lent)
            guard fits else {
                context.journal.error(
                    "ended a connection to \(context.forwards[plainFlows[slot].forward].text): its reader is slow"
                        + " and the memory ceiling is reached (--memory)")
                return endPlainFlow(slot, reset: true)
            }
        }
        driver.awaitWritable(plainFlows[slot].ends[end].descriptor, writeToken(slot, end))
        startSweeping()
    }

    mutating func plainWritable(_ slot: Int, end: Int) {
        guard plainFlows[slot].isOpen else {
            let error = driver.connectionError(plainFlows[slot].ends[1].descriptor)
            if error == 0 { return openPlain(slot) }
            driver.close(plainFlows[slot].ends[1].descriptor)
            plainFlows[slot].ends[1].descriptor = -1
            return dialNextPlain(slot, failure: -Int32(error))
        }
        let descriptor = plainFlows[slot].ends[end].descriptor
        if plainFlows[slot].ends[end].keptCount > 0 {
            let kept = plainFlows[slot].ends[end]
            let sent = unsafe driver.send(descriptor, kept.kept.start! + kept.keptOffset, count: kept.keptCount)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return endPlainFlow(slot, reset: true) }
            plainFlows[slot].ends[end].keptOffset += max(0, sent)
            plainFlows[slot].ends[end].keptCount -= max(0, sent)
            guard plainFlows[slot].ends[end].keptCount == 0 else {
                return driver.awaitWritable(descriptor, writeToken(slot, end))
            }
            driver.release(kept.kept)
            plainFlows[slot].ends[end].kept = .none
        }
        while !plainFlows[slot].ends[end].spill.isEmpty {
            let first = spillPool.first(of: plainFlows[slot].ends[end].spill)
            let sent = unsafe driver.send(descriptor, first.start, count: first.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else { return endPlainFlow(slot, reset: true) }
            if sent > 0 { spillPool.consume(sent, of: &plainFlows[slot].ends[end].spill) }
            if sent < first.count { return driver.awaitWritable(descriptor, writeToken(slot, end)) }
        }
        let source = 1 - end
        if plainFlows[slot].ends[source].hasEnded { return passEnd(slot, from: source) }
        driver.receive(plainFlows[slot].ends[source].descriptor, readToken(slot, source))
    }

    // MARK: The end

    /// The stream of `end` is over: once everything from it is written, the other side learns it.
    private mutating func passEnd(_ slot: Int, from end: Int) {
        let other = 1 - end
        guard plainFlows[slot].ends[other].owesNothing else { return }
        driver.shutdownWriting(plainFlows[slot].ends[other].descriptor)
        plainFlows[slot].ends[other].isShut = true
        if plainFlows[slot].ends[end].isShut { endPlainFlow(slot, reset: false) }
    }

    mutating func endPlainFlow(_ slot: Int, reset: Bool) {
        let flow = plainFlows.remove(slot)
        for index in 0...1 {
            var end = flow.ends[index]
            if !end.kept.isNone { driver.release(end.kept) }
            spillPool.removeAll(&end.spill)
            guard end.descriptor >= 0 else { continue }
            if reset { driver.resetOnClose(end.descriptor) }
            driver.close(end.descriptor)
        }
        context.loads[number].flowEnded()
        context.journal.verbose(
            "closed \(context.forwards[flow.forward].text) from \(flow.peer): \(flow.ends[0].bytes) bytes out,"
                + " \(flow.ends[1].bytes) in, \(formatSeconds(driver.now - flow.started))\(reset ? ", reset" : "")")
    }

    /// A side that is not read, because the other is full or its own stream has ended, could be reset unseen.
    mutating func sweepPlainFlows() -> Bool {
        var anyStalled = false
        for slot in 0..<plainFlows.highWater where plainFlows.isUsed(slot) && plainFlows[slot].isOpen {
            for end in 0...1 where plainFlows.isUsed(slot) {
                guard !plainFlows[slot].ends[end].owesNothing || plainFlows[slot].ends[1 - end].hasEnded else {
                    continue
                }
                anyStalled = true
                if driver.isReset(plainFlows[slot].ends[1 - end].descriptor) { endPlainFlow(slot, reset: true) }
            }
        }
        return anyStalled
    }
}

func formatSeconds(_ span: Tick.Span) -> String {
    let tenths = Int(span.seconds * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10) s"
}
