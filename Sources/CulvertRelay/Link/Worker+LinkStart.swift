internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// How links begin on their worker, and what a newer one does to the one that it replaces.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func addLink(_ start: consuming LoggedInLink<Engine>, _ id: LinkID, reverse: [ReverseID]) {
        retireLinks(at: id.place)
        if links.count >= Self.maximumLinks { giveUpRetiredLink() }
        guard !links.isFull, !isStopping else {
            driver.close(start.socket.release())
            return context.control.post(.linkLost(id, reason: "too many links at once", life: LinkLife()))
        }
        let link = insertLink(start, .pool(id), alive: context.alive, habit: serverHabit)
        if context.limits.nodelay { links[link].engine.runTrue() }
        links[link].heritage = reverse
        inherit(at: id.place)
        tellKept(id)
        context.links[id.place].isOpen = true
        beginReceiving(link)
        for mailbox in context.mailboxes { mailbox.post(.linksChanged) }
    }

    private mutating func insertLink(
        _ start: consuming LoggedInLink<Engine>, _ place: Link<Engine>.Place, alive: KeepAlive, habit: Liveness.Habit
    ) -> LinkSlot {
        let link = links.add(
            Link(
                start, place, alive: alive, habit: habit, exchangePatience: context.limits.keyExchange,
                now: driver.now))
        SocketOption.setNotSentLowWater(links[link].descriptor, bytes: links[link].sealAhead.bytes)
        limitWindows(link)
        askOnce(link)
        wake(link)
        return link
    }

    /// One question after the login shows whether the server answers any.
    private mutating func askOnce(_ link: LinkSlot) {
        guard links[link].liveness.habit == .unknown,
            let look = links[link].liveness.ask(driver.now, roundTrip: links[link].roundTrip)
        else { return }
        links[link].engine.probe()
        scheduleCheck(link, at: look)
    }

    private mutating func beginReceiving(_ link: LinkSlot) {
        scheduleCheck(link, at: driver.now)
        driver.awaitReadable(links[link].descriptor, Token(.linkRead, link))
        // Whatever came behind the last packet of the login.
        processReceived(link)
    }

    /// An older link at the same place takes no new flows; those it has may end on it, if it still lives. One that is
    /// silent keeps what the server listens on for it until it is dead: it may be the path that is slow. What was cancelled
    /// there and asked for elsewhere would be without a listener for a moment, or for good.
    private mutating func retireLinks(at place: Int) {
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            guard links[link].poolID?.place == place, links[link].end == nil else { continue }
            links[link].duty = .retired
            if links[link].liveness.isSuspect { links[link].reverse.leaveRefused() } else { cancelForwards(link) }
            scheduleCheck(link, at: driver.now)
        }
    }

    /// The reverse forwards of a place are asked for on its link once no older one has them any more.
    mutating func inherit(at place: Int) {
        guard let heir = livingLinks(at: place, .serving).first, !isStopping else { return }
        let kept = Set(livingLinks(at: place, .retired).flatMap { links[$0].reverse.held })
        let due = links[heir].heritage.filter { !kept.contains($0) }
        links[heir].heritage.removeAll { !kept.contains($0) }
        for forward in due { askReverse(heir, forward) }
    }

    /// Of what stands on an older link the control thread knows under the name of the place's link.
    private mutating func tellKept(_ id: LinkID) {
        for link in livingLinks(at: id.place, .retired) {
            for each in links[link].reverse.standing {
                context.control.post(.reverseAnswered(id, forward: each.forward, .standing(port: each.port)))
            }
        }
    }

    private mutating func livingLinks(at place: Int, _ duty: Link<Engine>.Duty) -> [LinkSlot] {
        var found: [LinkSlot] = []
        var next = links.first()
        while let link = next {
            next = links.next(after: link)
            guard case .pool(let id) = links[link].place, id.place == place, links[link].end == nil else { continue }
            if links[link].duty == duty { found.append(link) }
        }
        return found
    }

    /// The server listens no more for what goes through this link.
    mutating func cancelForwards(_ link: LinkSlot) {
        for number in links[link].reverse.retire() { links[link].engine.cancelForward(number) }
        wake(link)
    }

    /// Only replaced links can have filled the table: one of them is given up.
    private mutating func giveUpRetiredLink() {
        var next = links.first()
        while let link = next {
            if links[link].duty == .retired, links[link].end == nil {
                return end(link, .givenUp("too many replaced links"))
            }
            next = links.next(after: link)
        }
    }

    // MARK: Reverse forwards

    mutating func askReverse(_ link: LinkSlot, _ forward: ReverseID) {
        do throws(SSHError) {
            // One whose port the server chooses keeps it over a new login, if it is free.
            let request = reverseForwards[forward].request(port: chosenPorts[forward])
            let number = try links[link].engine.requestForward(request)
            links[link].reverse.wasAsked(forward, number, port: request.port)
            wake(link)
        } catch {
            guard let id = links[link].poolID else { return }
            context.control.post(.reverseAnswered(id, forward: forward, .notAsked(error.description)))
        }
    }

    mutating func reverseAnswered(_ link: LinkSlot, _ number: ForwardNumber, _ accepted: Bool, _ port: UInt16) {
        guard let asked = links[link].reverse.answered(number) else { return }
        let forward = asked.forward
        // Its successor has asked too.
        guard links[link].duty == .serving, !isStopping, let id = links[link].poolID else {
            if accepted { links[link].engine.cancelForward(number) }
            if case .pool(let id) = links[link].place { inherit(at: id.place) }
            return
        }
        if accepted {
            links[link].reverse.stands(forward, number, port: port)
            if reverseForwards[forward].request.leavesPortToPeer { chosenPorts[forward] = port }
        } else if chosenPorts[forward] == asked.port {
            // Somebody else has it, perhaps an older session of ours: the server chooses anew.
            chosenPorts[forward] = nil
            return askReverse(link, forward)
        } else {
            scheduleCheck(link, at: links[link].reverse.wasRefused(forward, now: driver.now))
        }
        context.control.post(.reverseAnswered(id, forward: forward, accepted ? .standing(port: port) : .refused))
    }

    // MARK: Hops

    /// A link to a jump host. It has one flow: the channel to the next host of its path, with one end of a socket pair
    /// where others have an application. What logs in over the other end is the next link, which knows nothing of this.
    ///
    /// A hop is asked whether it lives as every link is. It is in no place of the pool: the control thread hears of it
    /// only by the link at the end of its path.
    mutating func addHop(_ start: consuming LoggedInLink<Engine>, _ hop: Hop, channel descriptor: Descriptor) {
        guard !links.isFull, !flows.isFull, !isStopping else {
            hop.path.fail("\(hop.name): too many links and connections at once")
            driver.close(start.socket.release())
            return driver.close(descriptor)
        }
        let link = insertLink(
            start, .hop(hop), alive: hop.alive, habit: Engine.tellsAnswers ? .unknown : .answers)
        do throws(SSHError) {
            // No connection of anybody's is carried: the originator is this machine (RFC 4254 §7.2).
            let channel = try links[link].engine.open(
                .directTCPIP(host: hop.host, port: hop.port, originator: "127.0.0.1", originatorPort: 0))
            let flow = insertFlow(
                TunnelFlow(
                    phase: .opening, link: link, channel: channel, socket: descriptor, purpose: .nextHop,
                    peer: SocketAddress(), arrival: held.nextArrival(driver.now), started: driver.now))
            // The server looks the name up and dials; whoever asked for the hop is told by then.
            let deadline = driver.now + context.limits.dial + context.limits.dial
            flows[flow].dialling = Dialling(deadline: deadline)
            timers.add(deadline, Token(.dialStep, flow))
        } catch {
            hop.path.fail("\(hop.name): \(error)")
            driver.close(descriptor)
            return end(link, .givenUp(error.description))
        }
        channelAsked(link, byName: Target.tcp(host: hop.host, port: hop.port).hasName)
        beginReceiving(link)
    }

    /// A hop whose server says nothing of the way to the next host is given up.
    mutating func hopExpired(_ flow: FlowID) {
        let link = flows[flow].link
        guard let hop = links[link].hop else { return }
        hop.path.fail("\(hop.name): no answer about the way to \(Target.tcp(host: hop.host, port: hop.port))")
        end(link, .givenUp("no answer"))
    }
}
