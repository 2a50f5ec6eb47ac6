internal import CulvertIO
internal import CulvertPlan

/// Opens the sockets of local forwards on threads of their own: a bind address may be a name, and neither an order to end
/// nor another forward waits for whoever looks it up.
enum ListenerOpening {
    /// What became of one forward. Sockets that nobody takes are closed with it.
    struct Opened: Sendable {
        struct Socket: Sendable {
            let listener: Parcel<BlockingSocket>
            let address: SocketAddress
        }

        let forward: DirectID
        let outcome: Result<[Socket], Listening.Failure>

        /// For whoever has taken the sockets.
        var answer: ListenerAnswer {
            ListenerAnswer(forward: forward, outcome: outcome.map { $0.map(\.address) })
        }

        /// Gives each socket away, once.
        func take(_ take: (Descriptor) -> Void) {
            guard case .success(let sockets) = outcome else { return }
            for socket in sockets { take(socket.listener.take().release()) }
        }
    }

    /// Names that are not found within this long are tried again later.
    private static let patience = Tick.Span.seconds(5)

    /// `then` is called once, with each forward in this order.
    static func begin(
        _ forwards: [(id: DirectID, forward: LocalForward)], family: SocketAddress.Family,
        then: @escaping @Sendable ([Opened]) -> Void
    ) {
        let work = { @Sendable in then(openAll(forwards, family)) }
        do throws(IOError) { try Thread.start(name: "culvert-listen", work) } catch { work() }
    }

    private static func openAll(_ forwards: [(id: DirectID, forward: LocalForward)], _ family: SocketAddress.Family)
        -> [Opened]
    {
        let found = Monitor<[DirectID: Opened]>([:])
        let deadline = Tick.current() + patience
        for (id, forward) in forwards {
            let work = { @Sendable in
                let opened = open(id, forward, family)
                found.withLock { $0[id] = opened }
            }
            guard forward.listensByName else {
                work()
                continue
            }
            do throws(IOError) { try Thread.start(name: "culvert-listen", work) } catch { work() }
        }
        let known = found.wait { opened in
            if opened.count == forwards.count { return .done(opened) }
            return Tick.current() < deadline ? .again(by: deadline) : .done(opened)
        }
        let late = Listening.Failure(
            description: "the name is not found within \(Int(patience.seconds)) s: nobody answers")
        return forwards.map { known[$0.id] ?? Opened(forward: $0.id, outcome: .failure(late)) }
    }

    private static func open(_ id: DirectID, _ forward: LocalForward, _ family: SocketAddress.Family) -> Opened {
        do throws(Listening.Failure) {
            let sockets = try Listening.open(forward, family: family).map {
                Opened.Socket(listener: Parcel(BlockingSocket(adopting: $0.descriptor)), address: $0.address)
            }
            return Opened(forward: id, outcome: .success(sockets))
        } catch {
            return Opened(forward: id, outcome: .failure(error))
        }
    }
}

extension LocalForward {
    /// Where it listens is a name that must be looked up.
    fileprivate var listensByName: Bool {
        if case .address(let host, let port) = listen { Target.tcp(host: host, port: port).hasName } else { false }
    }
}
