internal import CulvertIO
internal import Glibc

/// Opens the sockets that local forwards listen on, before their workers have them.
enum Listening {
    struct Failure: Error {
        let description: String
    }

    /// One descriptor for each address, or none and the reason. A wildcard's second family may be missing (no IPv6).
    static func open(_ forward: LocalForward) throws(Failure) -> [(descriptor: Descriptor, address: SocketAddress)] {
        var opened: [(descriptor: Descriptor, address: SocketAddress)] = []
        var failure: Failure?
        for address in forward.addresses {
            do throws(IOError) {
                if address.isUnix, forward.unlinksFirst { removeSocket(address.host) }
                // Port 0 given several addresses: the first one's choice serves all.
                let descriptor = try address.listen(modeMask: forward.unixModeMask)
                opened.append((descriptor, SocketAddress.local(of: descriptor) ?? address))
            } catch {
                if error.number == EAFNOSUPPORT || error.number == EADDRNOTAVAIL, forward.addresses.count > 1 {
                    failure = failure ?? Failure(description: words(error.number, address))
                    continue
                }
                for each in opened { SocketOption.close(each.descriptor) }
                throw Failure(description: words(error.number, address))
            }
        }
        if opened.isEmpty { throw failure ?? Failure(description: "no address to listen on") }
        return opened
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
