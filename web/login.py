"""Logging in and out."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .answers import RequestError, read_body, refused
from .guard import AccessControl, session_cookie
from .passwords import MOST_CHARACTERS, is_password
from .sessions import SESSION_SECONDS, LoginLimit, cookie_name

LOGIN_PATH = "/api/v1/login"


class Login:
    """Answers to logins.

    Parameters
    ----------
    control : AccessControl
        Password, and sessions.
    """

    def __init__(self, control: AccessControl) -> None:
        self._control = control
        self._limit = LoginLimit()
        self._one_at_a_time = asyncio.Semaphore(1)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(LOGIN_PATH, self.login, methods=["POST"]),
            Route("/api/v1/logout", self.logout, methods=["POST"]),
        ]

    async def login(self, request: Request) -> Response:
        """Begin a session, if the password is right."""
        address = request.client.host if request.client else ""
        try:
            body = await read_body(request)
        except RequestError as error:
            return refused(error)
        password, access = body.get("password"), self._control.access
        if not isinstance(password, str) or len(password) > MOST_CHARACTERS:
            return refused(RequestError(400, "password must be text"))
        async with self._one_at_a_time:
            wait_seconds = self._limit.wait_seconds(address)
            if wait_seconds > 0:
                return JSONResponse(
                    {"error": f"too many wrong passwords: try again in {wait_seconds:.0f} s"},
                    429,
                    {"retry-after": str(max(1, round(wait_seconds)))},
                )
            self._limit.begin(address)
            right = await asyncio.to_thread(is_password, password, access.password)
        if not right or self._control.access is not access:  # the password has changed meanwhile
            return refused(RequestError(401, "the password is wrong"))
        self._limit.succeed(address)
        answer = JSONResponse({})
        answer.set_cookie(
            cookie_name(self._control.access.path),
            self._control.sessions.begin(),
            max_age=SESSION_SECONDS,
            path="/",  # of the proxy's path too, and of this machine's address without it
            httponly=True,
            samesite="strict",
            secure=request.headers.get("x-forwarded-proto", request.url.scheme) == "https",
        )
        return answer

    async def logout(self, request: Request) -> Response:
        """End the session."""
        name = cookie_name(self._control.access.path)
        self._control.sessions.end(session_cookie(request.headers, name))
        answer = JSONResponse({})
        answer.delete_cookie(name, path="/", httponly=True, samesite="strict")
        return answer
