internal import CulvertIO

/// Asks one thing of another process, at its Unix socket.
enum HTTPClient {
    enum Failure: Error, Equatable {
        /// Nobody listens there any more.
        case gone
        case refused(String)
        /// It has not answered in time, or says what no answer is.
        case silent
    }

    /// More than any answer is.
    private static let most = 64 << 20

    static func get(_ path: String, at socket: String, deadline: Tick) throws(Failure) -> (status: Int, body: [UInt8]) {
        guard let address = SocketAddress(path: socket) else { throw .refused("its path is too long") }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: culvert\r\nConnection: close\r\n\r\n".utf8)
        var answer: [UInt8] = []
        do throws(IOError) {
            let stream = try BlockingSocket.connect(to: address, from: nil, deadline: deadline)
            try unsafe request.withUnsafeBufferPointer { bytes throws(IOError) in
                try unsafe stream.send(UnsafeRawBufferPointer(bytes), deadline: deadline)
            }
            var room = [UInt8](repeating: 0, count: 64 << 10)
            while answer.count < most {
                let count = try unsafe room.withUnsafeMutableBufferPointer { bytes throws(IOError) in
                    try unsafe stream.receive(into: UnsafeMutableRawBufferPointer(bytes), deadline: deadline)
                }
                guard count > 0 else { break }
                answer += room[..<count]
            }
        } catch {
            if error.isNobodyThere { throw .gone }
            // A queue that is full is no answer either.
            throw error.isForbidden ? .refused(errorText(error.number)) : .silent
        }
        return try parse(answer)
    }

    static func parse(_ answer: [UInt8]) throws(Failure) -> (status: Int, body: [UInt8]) {
        let blank = Array("\r\n\r\n".utf8)
        guard let head = answer.firstRange(of: blank) else { throw .silent }
        let words = String(decoding: answer[..<head.lowerBound].prefix { $0 != 13 }, as: UTF8.self).split(
            separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { throw .silent }
        return (status, Array(answer[head.upperBound...]))
    }
}
