# affiliate_form: a submission as multipart/form-data, as browsers send forms that say so, and FormData in a script.
#
# Guards the parser behind the network: what a browser sends is read whole; files, other charsets and broken bodies are
# refused in one answer, and the connection goes on behind them.  tracker_multipart's own tests know the syntax better.
use lib 't/lib';
use TestAffiliate;

our $true = JSON::PP::true;
our $token = form_token(1);
our $rows = join "\n", @TestAffiliate::ROWS, form_row(1, 7, 0, 1, 'open',
    [{ name => 'name', type => 1, required => $true }, { name => 'topics', type => 7, options => ['a', 'b'] }, { name => 'note', type => 1 }],
    page => '^N1;STALE^.[^V0;]');

# A body of parts: [name, value, more of the disposition, more headers].
sub body {
    return join('', map { my ($name, $value, $more, $headers) = @$_; "--BB\r\nContent-Disposition: form-data; name=\"$name\"" . ($more // '')
        . "\r\n" . ($headers // '') . "\r\n$value\r\n" } @_) . "--BB--\r\n";
}
sub post { return "POST /f/open\n" . body(['_token', $token], @_) }
our $type = "Content-Type: multipart/form-data; boundary=BB\n";

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('rows', $rows);
    $block->set_value('config', 'location /f/ { affiliate_form; } location = /status { affiliate_status; }');
    $block->set_value('more_headers', $type) if !defined $block->more_headers;
});
plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: as a browser sends it
--- request eval
::post(['name', "Jane D\xc3\xb6e"], ['topics', 'b'], ['topics', 'a'], ['note', "two\r\n-BB lines\r\n"], ['_website', ''], ['x%22y', 'junk'])
--- error_code: 303
--- response_headers
Location: /f/open?done=1
--- events
{"fields": [["name", "Jane Döe"], ["topics", "b"], ["topics", "a"], ["note", "two\n-BB lines"]], "flags": null, "key": "0123456789abcdef"}



=== TEST 2: the boundary in other clothes
--- request eval
[(::post(['name', 'Jane'])) x 3]
--- more_headers eval
["Content-Type: Multipart/Form-Data; charset=utf-8; Boundary=\"BB\"", "Content-Type: multipart/form-data;boundary=BB", "Content-Type: multipart/form-data; boundary=BC"]
--- error_code eval
[303, 303, 400]



=== TEST 3: no token: the page once more, with what was sent
--- request eval
"POST /f/open\n" . ::body(['name', '<b>'])
--- error_code: 422
--- response_body chomp
STALE[&lt;b&gt;]
--- events



=== TEST 4: files and encodings are refused
--- request eval
[::post(['name', 'Jane'], ['cv', 'x', '; filename="cv.pdf"', "Content-Type: application/pdf\r\n"]), ::post(['name', 'Jane'], ['cv', '', '; filename=""']),
 ::post(['name', 'SmFuZQ==', '', "Content-Transfer-Encoding: base64\r\n"]), ::post(['name', 'Jane', '', "Content-Type: text/plain; charset=iso-8859-1\r\n"]),
 ::post(['name', "\xff"])]
--- error_code eval
[(400) x 5]
--- response_body_like eval
["Forms take no files", "Forms take no files", "UTF-8", "UTF-8", "UTF-8"]
--- log
file_refused$
file_refused$
parameter_malformed$
parameter_malformed$
parameter_malformed$
--- events



=== TEST 5: broken bodies
--- request eval
[map { "POST /f/open\n$_" } "x", "--BB\r\n", "--BB", substr(::body(['name', 'Jane']), 0, -6), "name=Jane", "--BB\n\n--BB--", ::body(['name', 'Jane', '; x']),
 "--BB\r\nX: " . "y" x 1100 . "\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nJane\r\n--BB--"]
--- error_code eval
[(400) x 8]
--- log eval
CORE::join "\n", ("multipart_malformed\$") x 8
--- events



=== TEST 6: no part, many parts, too many
--- request eval
["POST /f/open\n--BB--", ::post(['name', 'Jane'], (['x', 1]) x 254), ::post(['name', 'Jane'], (['x', 1]) x 255)]
--- error_code eval
[422, 303, 413]
--- log
form_token_invalid$
accepted$
lead_too_large$



=== TEST 7: behind a refused body the next request is read
--- pipelined_requests eval
["POST /f/open\n" . ::body(['f', 'x', '; filename=x']), "POST /f/open\n" . ::body(['name', 'y']), "POST /f/open\nbroken"]
--- error_code eval
[400, 422, 400]
--- response_body_like eval
["no files", "^STALE\\[y\\]\$", "boundary"]



=== TEST 8: a body that lies on the disk
--- config
location /f/ { client_body_in_file_only clean; affiliate_form; }
--- request eval
::post(['name', 'Jane'], ['note', 'x' x 4000])
--- error_code: 303
--- events eval
qq({"fields": [["name", "Jane"], ["note", ") . 'x' x 4000 . qq("]]})
