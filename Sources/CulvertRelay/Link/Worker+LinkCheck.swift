internal import CulvertIO
internal import CulvertSSH

/// What a link's own values ask for when their times come: the next question, a question's deadline, a reverse forward
/// to ask for again, old keys, the end of a key exchange's time, the end of a link that nobody needs any more.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    /// Looks at the link at that moment, if nothing sooner does.
    mutating func scheduleCheck(_ link: LinkSlot, at moment: Tick) {
        guard moment < links[link].nextCheck else { return }
        links[link].nextCheck = moment
        timers.add(moment, Token(.linkCheck, link))
    }

    mutating func check(_ link: LinkSlot) {
        guard driver.now >= links[link].nextCheck else { return }
        links[link].nextCheck = .distantFuture
        if checkClosing(link) { return }
        switch links[link].keys.look(driver.now, heard: links[link].bytesReceived) {
        case .fine(let next): if let next { scheduleCheck(link, at: next) }
        case .overdue:
            let patience = formatSeconds(context.limits.keyExchange)
            return end(link, .givenUp("the server did not finish a key exchange within \(patience)"))
        }
        for forward in links[link].reverse.takeDue(driver.now) { askReverse(link, forward) }
        if let next = links[link].reverse.nextDue { scheduleCheck(link, at: next) }
        if links[link].keys.areOld(driver.now) {
            links[link].engine.beginKeyExchange()
            wake(link)
            watchExchange(link)
        }
        if let next = links[link].keys.due { scheduleCheck(link, at: next) }
        checkLiveness(link)
    }

    /// A key exchange may have begun or ended.
    mutating func watchExchange(_ link: LinkSlot) {
        let exchange = links[link].engine.keyExchange
        if let next = links[link].keys.saw(exchange, now: driver.now, heard: links[link].bytesReceived) {
            scheduleCheck(link, at: next)
        }
        let begun = links[link].engine.keyExchangesOfPeer
        let carried = links[link].bytesReceived + links[link].bytesSent
        if links[link].end == nil, !links[link].exchangeBudget.allows(begun, driver.now, carried: carried) {
            end(link, .givenUp("the server begins one key exchange after the other"))
        }
    }

    // MARK: Links that nobody needs any more

    /// Ends one that was replaced, a hop, or the link of `-W`, when its flows are over and both sides have closed every
    /// channel: until then the server may still be handing on what it was sent. Returns whether it has ended.
    private mutating func checkClosing(_ link: LinkSlot) -> Bool {
        guard links[link].flowCount == 0, links[link].isClosing else {
            links[link].closing = nil
            return false
        }
        if links[link].engine.channelCount == 0 {
            end(link, .finished)
            return true
        }
        let progress = links[link].engine.channelProgress
        var closing = links[link].closing ?? ClosingWatch(progress: progress, now: driver.now)
        let verdict = closing.look(progress: progress, now: driver.now)
        links[link].closing = closing
        switch verdict {
        case .wait(let moment):
            scheduleCheck(link, at: moment)
            return false
        case .giveUp:
            end(link, .givenUp("cut short: the server did not close what was over"))
            return true
        }
    }

    // MARK: Liveness

    mutating func channelAsked(_ link: LinkSlot, byName: Bool) {
        wake(link)
        if let next = links[link].liveness.channelAsked(driver.now, byName: byName) { scheduleCheck(link, at: next) }
    }

    private mutating func checkLiveness(_ link: LinkSlot) {
        let wasSuspect = links[link].liveness.isSuspect
        let habit = links[link].liveness.habit
        let descriptor = links[link].descriptor
        let step = links[link].liveness.look(
            driver.now, roundTrip: links[link].roundTrip,
            sinceAcknowledged: SocketOption.sinceAcknowledged(descriptor))
        if links[link].liveness.isSuspect && !wasSuspect { suspected(link) }
        if links[link].liveness.habit == .isMute, habit != .isMute { isMute(link) }
        switch step {
        case .wait(let moment): if let moment { scheduleCheck(link, at: moment) }
        case .ask(let next):
            links[link].engine.probe()
            wake(link)
            scheduleCheck(link, at: next)
        case .giveUp(let silence):
            let habit = links[link].liveness.habit
            let hint = habit == .answers ? "" : " (it has answered no keepalive: ServerAliveInterval=0 asks for none)"
            end(link, .givenUp("timeout, server not responding for \(Int(silence.seconds)) s\(hint)"))
        }
    }

    mutating func questionAnswered(_ link: LinkSlot) {
        links[link].liveness.answered()
        if links[link].poolID != nil { serverHabit = .answers }
    }

    private mutating func isMute(_ link: LinkSlot) {
        guard links[link].poolID != nil, serverHabit == .unknown else { return }
        serverHabit = .isMute
        context.control.post(.questionsUnanswered)
    }

    /// The path has changed: every link that has not been asked is asked at once.
    mutating func askLinks() {
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            guard links[link].end == nil,
                let look = links[link].liveness.ask(driver.now, roundTrip: links[link].roundTrip)
            else { continue }
            links[link].engine.probe()
            wake(link)
            scheduleCheck(link, at: look)
        }
    }

    /// Silent although asked: no new flow goes there, and a second link is tried beside it.
    private mutating func suspected(_ link: LinkSlot) {
        guard let id = links[link].poolID else { return }
        context.links[id.place].isOpen = false
        holdUnopened(link)
        serveHeld()
        context.control.post(.linkSuspect(id))
    }

    mutating func recovered(_ link: LinkSlot) {
        // One that was replaced keeps what it has.
        guard let id = links[link].poolID, !isStopping else { return }
        context.links[id.place].isOpen = true
        context.control.post(.linkRecovered(id))
        for mailbox in context.mailboxes { mailbox.post(.linksChanged) }
    }
}
