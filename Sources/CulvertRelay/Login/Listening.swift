internal import CulvertIO
internal import CulvertPlan
internal import Glibc

/// Opens the sockets that local forwards listen on, before their workers have them.
enum Listening {
    struct Failure: Error {
        let description: String
    }

    typealias Opened = (descriptor: Descriptor, address: SocketAddress)

    /// A port that the kernel chose for one address may be somebody's at the next: another is chosen, so often.
    private static let choices = 16

    /// One descriptor for each address, or none and the reason. A second address of a forward may be missing (no IPv6).
    static func open(_ forward: LocalForward, family: SocketAddress.Family) throws(Failure) -> [Opened] {
        let addresses = try addresses(forward, family)
        var modeMask: UInt32 = 0o177
        if case .unix(let path, let mask, let unlinksFirst) = forward.listen {
            modeMask = mask
            if unlinksFirst { removeSocket(path) }
        }
        for _ in 1..<choices where forward.choosesPort {
            if let opened = try open(addresses, modeMask: modeMask, choosesAgain: true) { return opened }
        }
        guard let opened = try open(addresses, modeMask: modeMask, choosesAgain: false) else {
            preconditionFailure("only a port that is chosen again is no failure")
        }
        return opened
    }

    /// All addresses at one port: the first one's, where that is chosen. nil: another port may be chosen.
    private static func open(_ addresses: [SocketAddress], modeMask: UInt32, choosesAgain: Bool) throws(Failure)
        -> [Opened]?
    {
        var opened: [Opened] = []
        var failure: Failure?
        for wanted in addresses {
            let chosen = wanted.port == 0 ? opened.first?.address.port : nil
            let address = chosen.flatMap { wanted.at(port: $0) } ?? wanted
            do throws(IOError) {
                let descriptor = try address.listen(modeMask: modeMask, resetsAccepted: true)
                opened.append((descriptor, SocketAddress.local(of: descriptor) ?? address))
            } catch {
                if error.number == EAFNOSUPPORT || error.number == EADDRNOTAVAIL, addresses.count > 1 {
                    failure = failure ?? Failure(description: words(error.number, address))
                    continue
                }
                for each in opened { SocketOption.close(each.descriptor) }
                if choosesAgain, chosen != nil, error.number == EADDRINUSE { return nil }
                throw Failure(description: words(error.number, address))
            }
        }
        if opened.isEmpty { throw failure ?? Failure(description: "no address to listen on") }
        return opened
    }

    private static func addresses(_ forward: LocalForward, _ family: SocketAddress.Family) throws(Failure)
        -> [SocketAddress]
    {
        do throws(ResolveError) {
            switch forward.listen {
            case .loopback(let port): return try both("127.0.0.1", "::1", port, family)
            case .everywhere(let port): return try both("0.0.0.0", "::", port, family)
            case .address(let host, let port): return try SocketAddress.resolve(host: host, port: port, family: family)
            case .unix(let path, _, _):
                if let address = SocketAddress(path: path) { return [address] }
            case .standardStreams, .handedOver: preconditionFailure("nothing is listened on for what is handed over")
            }
        } catch {
            throw Failure(description: error.description)
        }
        throw Failure(description: "the path is longer than a socket's name can be (107 bytes)")
    }

    /// The same place in both families, or in the one that `-4` or `-6` leaves.
    private static func both(_ ipv4: String, _ ipv6: String, _ port: UInt16, _ family: SocketAddress.Family)
        throws(ResolveError) -> [SocketAddress]
    {
        var found: [SocketAddress] = []
        if family != .ipv6 { found += try SocketAddress.resolve(host: ipv4, port: port, numeric: true) }
        if family != .ipv4 { found += try SocketAddress.resolve(host: ipv6, port: port, numeric: true) }
        return found
    }

    private static func words(_ number: Int32, _ address: SocketAddress) -> String {
        let cause = "cannot listen on \(address): \(errorText(number))"
        switch number {
        case EADDRINUSE where address.isUnix:
            return cause + " (remove the file, or use -o StreamLocalBindUnlink=yes)"
        case EADDRINUSE: return cause + " (see who has it: ss -ltnp 'sport = :\(address.port)')"
        case EACCES where !address.isUnix:
            return cause + " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        default: return cause
        }
    }

    /// Only ever a socket: a file that is something else stays, and the bind says so.
    private static func removeSocket(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
        _ = unsafe unlink(path)
    }
}
