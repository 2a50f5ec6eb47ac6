internal import CulvertIO
internal import CulvertPlan

/// The times of the links to one server: when a silent one is asked whether it lives, and when it is given up
/// (ServerAliveInterval, ServerAliveCountMax); and how old its keys may become.
struct KeepAlive: Sendable {
    /// nil: never asked.
    var serverAliveInterval: Tick.Span? = .seconds(15)
    var serverAliveCountMax = 3
    /// The interval was asked for: a server that answers no question is given up too, as ssh gives it up.
    var isSet = false
    /// A question unanswered for this long makes a link suspect: a second one is tried beside it.
    var suspicion = Tick.Span.seconds(2)
    /// RekeyLimit's time; nil: keys do not age.
    var rekeyInterval: Tick.Span?
}

extension KeepAlive {
    init(_ server: ServerPlan) {
        serverAliveInterval = server.connection.serverAliveInterval.map { Tick.Span($0) }
        serverAliveCountMax = server.connection.serverAliveCountMax
        isSet = server.connection.serverAliveIntervalIsSet
        rekeyInterval = server.algorithms.rekeyLimit?.interval.map { Tick.Span($0) }
    }
}

/// Whether the far end of a link lives, as far as one can know: what was heard, what was asked, and what is to be done
/// about the silence.
///
/// Silence is a sign only of a server that has answered a question before: some answer none (RFC 4254 §4 has them do so).
/// Of those the other machine's kernel is the only witness.
struct Liveness {
    /// What is to be done at a moment at which the link is looked at.
    enum Step: Equatable {
        /// Nothing before this moment; nil: nothing at all, unless something happens.
        case wait(until: Tick?)
        /// A question is to be sent; the next look is due then.
        case ask(nextLook: Tick)
        /// The link is given up: nothing was heard for this long.
        case giveUp(silence: Tick.Span)
    }

    /// How a server takes questions.
    enum Habit: Equatable {
        /// None was answered yet, nor long overdue.
        case unknown
        case answers
        /// It has left one unanswered, though it lives.
        case isMute
    }

    /// A channel that is not opened after this long makes the link be asked whether it lives.
    static let openPatience = Tick.Span.seconds(1)

    /// So long a server may say nothing because it looks up the name that a channel was asked for with: sshd does that in
    /// the session's own process.
    static let namePatience = Tick.Span.seconds(15)

    /// The kernel's times are no more exact than this.
    private static let kernelsTick = Tick.Span.milliseconds(100)

    let times: KeepAlive
    private(set) var lastHeard: Tick
    private(set) var isSuspect = false
    private(set) var habit: Habit
    private var unanswered = 0
    private var asked = Tick(nanoseconds: 0)
    /// When a channel was asked for that is not answered yet.
    private var openAsked: Tick?
    private var pendingOpens = 0
    /// Silence is no cause for suspicion before that moment: the server may be looking up a name.
    private var excusedUntil: Tick?

    init(_ times: KeepAlive, habit: Habit = .unknown, now: Tick) {
        self.times = times
        self.habit = habit
        lastHeard = now
    }

    /// Something came. Returns whether the link was suspect: it has recovered.
    mutating func heard(_ now: Tick) -> Bool {
        lastHeard = now
        unanswered = 0
        // It answers one after the other.
        if excusedUntil != nil { excusedUntil = now + Self.namePatience }
        defer { isSuspect = false }
        return isSuspect
    }

    /// A question was answered.
    mutating func answered() { habit = .answers }

    /// A channel is asked for, `byName` where the server must look its target up. Returns when the link is to be looked at,
    /// if that is news.
    mutating func channelAsked(_ now: Tick, byName: Bool) -> Tick? {
        pendingOpens += 1
        // On a link that spoke until then.
        if byName, unanswered == 0 { excusedUntil = excusedUntil ?? now + Self.namePatience }
        // One that is waited for while the link speaks waits for its target, and says nothing about the link.
        if let openAsked, lastHeard <= openAsked { return nil }
        openAsked = now
        return times.serverAliveInterval == nil ? nil : now + Self.openPatience
    }

    mutating func channelAnswered() {
        openAsked = nil
        pendingOpens = max(0, pendingOpens - 1)
        if pendingOpens == 0 { excusedUntil = nil }
    }

    /// A question goes out now, whatever is due. Returns when the next look is due; nil: the link is never asked, or was
    /// asked already.
    mutating func ask(_ now: Tick, roundTrip: Tick.Span) -> Tick? {
        guard let interval = times.serverAliveInterval, unanswered == 0 else { return nil }
        return noteQuestion(now, interval, roundTrip)
    }

    private mutating func noteQuestion(_ now: Tick, _ interval: Tick.Span, _ roundTrip: Tick.Span) -> Tick {
        unanswered += 1
        asked = now
        return now + (isSuspect || habit != .answers ? interval : min(suspicion(roundTrip), interval))
    }

    /// The link is looked at. `isSuspect` and `habit` may change by it. `sinceAcknowledged`: how long the other machine's
    /// kernel has acknowledged nothing; nil where that cannot be known.
    mutating func look(
        _ now: Tick, roundTrip: Tick.Span, sinceAcknowledged: @autoclosure () -> Tick.Span? = nil
    ) -> Step {
        guard let interval = times.serverAliveInterval else { return .wait(until: nil) }
        if unanswered == 0 {
            // ServerAliveCountMax 0: as in ssh, silence is no cause to ask but the end.
            if times.serverAliveCountMax == 0, now - lastHeard >= interval {
                return .giveUp(silence: now - lastHeard)
            }
            var due = lastHeard + interval
            // A channel may have been asked for after this look was scheduled for another.
            if let openAsked, lastHeard <= openAsked { due = min(due, openAsked + Self.openPatience) }
            return due <= now ? .ask(nextLook: noteQuestion(now, interval, roundTrip)) : .wait(until: due)
        }
        let silence = now - asked
        if silence >= interval {
            let isAcknowledged = habit == .answers ? false : isAcknowledged(sinceAcknowledged(), silence)
            if habit == .unknown, isAcknowledged { habit = .isMute }
            let isPatient = !times.isSet && isAcknowledged
            // A question out of turn, as for a channel that is not opened, makes the end come no sooner.
            let longest = Tick.Span(nanoseconds: interval.nanoseconds * Int64(times.serverAliveCountMax + 1))
            if unanswered >= times.serverAliveCountMax, now - lastHeard >= longest, !isPatient {
                return .giveUp(silence: now - lastHeard)
            }
        }
        var suspectAt: Tick?
        if habit == .answers {
            let moment = max(asked + suspicion(roundTrip), excusedUntil ?? asked)
            if now >= moment { isSuspect = true } else { suspectAt = moment }
        }
        if silence >= interval { return .ask(nextLook: noteQuestion(now, interval, roundTrip)) }
        return .wait(until: min(suspectAt ?? asked + interval, asked + interval))
    }

    /// The other machine has acknowledged the last question, or it cannot be known.
    private func isAcknowledged(_ sinceAcknowledged: Tick.Span?, _ silence: Tick.Span) -> Bool {
        guard let sinceAcknowledged else { return true }
        return sinceAcknowledged.nanoseconds < silence.nanoseconds + Self.kernelsTick.nanoseconds
    }

    /// A slow path is not a dead one.
    private func suspicion(_ roundTrip: Tick.Span) -> Tick.Span {
        max(times.suspicion, Tick.Span(nanoseconds: roundTrip.nanoseconds * 4))
    }
}
