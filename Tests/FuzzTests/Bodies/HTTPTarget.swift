@testable import CulvertControl

extension FuzzTarget {
    /// Requests of HTTP, in pieces. The first byte says how long a piece is: what is read must not depend on it.
    static let http = FuzzTarget(
        "HTTP",
        seeds: {
            [
                "GET /v1/tunnels?flows=yes HTTP/1.1\r\nHost: culvert\r\n\r\n",
                "POST /v1/a%20b HTTP/1.1\nHost: a\nContent-Length: 5\n\nhelloHEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\nTransfer-Encoding: chunked\r\n\r\n",
                "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            ].flatMap { text in [[1] + Array(text.utf8), [7] + Array(text.utf8)] }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let length = max(1, Int(input.byte()))
        let text = input.rest()
        let (whole, pieces) = (read(text, by: max(1, text.count)), read(text, by: length))
        precondition(whole == pieces, "what is read depends on how it comes")
    }

    private struct Read: Equatable {
        var requests: [HTTPRequest] = []
        var fault: HTTPStatus?
    }

    private static func read(_ text: [UInt8], by length: Int) -> Read {
        var (reader, read, rest) = (HTTPReader(), Read(), text[...])
        while !rest.isEmpty {
            reader.take(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
            do throws(HTTPFault) {
                while let request = try reader.next() {
                    precondition(request.path.hasPrefix("/"), "a path begins with a slash")
                    precondition(request.body.count <= HTTPReader.mostBody, "a body has a limit")
                    read.requests.append(request)
                }
            } catch {
                read.fault = error.status
                return read
            }
        }
        return read
    }
}
